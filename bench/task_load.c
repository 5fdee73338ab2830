/* task_load - a load of tasks for a task service: created, started, waited for, deleted.
 *
 *   task_load SOCKET NAMESPACE BUNDLE TASKS AT_ONCE [keep]
 *
 * TASKS containers of the bundle BUNDLE, AT_ONCE at a time, over one connection of ttrpc. Says how many
 * a second went through all four calls. With `keep` each is created and started only, and it waits for
 * its standard input to end before it ends all of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536, HEADER = 10, KINDS = 5 };
enum kind { CREATE, START, WAIT, DELETE, KILL };
static const char *const methods[KINDS] = {"Create", "Start", "Wait", "Delete", "Kill"};
static const char *space, *bundle;
static int fd;
static uint32_t next_stream = 1;
static struct {
    uint32_t task;
    enum kind kind;
} calls[1 << 20]; /* by stream / 2 */

static void die(const char *what)
{
    (void)fprintf(stderr, "task_load: %s\n", what);
    exit(1);
}

static char *put_varint(char *at, uint64_t value)
{
    for (; value > 127; value >>= 7)
        *at++ = (char)(value | 128);
    *at++ = (char)value;
    return at;
}

static char *put_bytes(char *at, unsigned int number, const char *data, size_t size)
{
    at = put_varint(at, number << 3 | 2);
    at = put_varint(at, size);
    memcpy(at, data, size);
    return at + size;
}

static char *put_text(char *at, unsigned int number, const char *text)
{
    return put_bytes(at, number, text, strlen(text));
}

static void send_all(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

        if (sent <= 0)
            die("the connection has ended");
        data += sent;
        size -= (size_t)sent;
    }
}

static void call(uint32_t task, enum kind kind)
{
    char message[4096], request[8192], pair[512], id[32];
    char *at = message, *to = request + HEADER;
    uint32_t stream = next_stream;

    (void)snprintf(id, sizeof(id), "load-%u", task);
    at = put_text(at, 1, id);
    if (kind == CREATE)
        at = put_text(at, 2, bundle);
    if (kind == KILL) {
        at = put_varint(at, 3 << 3);
        at = put_varint(at, 9);
    }
    to = put_text(to, 1, "containerd.task.v3.Task");
    to = put_text(to, 2, methods[kind]);
    to = put_bytes(to, 3, message, (size_t)(at - message));
    char *end = put_text(put_text(pair, 1, "containerd-namespace-ttrpc"), 2, space);
    to = put_bytes(to, 5, pair, (size_t)(end - pair));
    const uint32_t size = (uint32_t)(to - request - HEADER);
    for (int i = 0; i < 4; i++) {
        request[i] = (char)(size >> (24 - 8 * i));
        request[4 + i] = (char)(stream >> (24 - 8 * i));
    }
    request[8] = 1;
    request[9] = 0;
    if (stream / 2 >= sizeof(calls) / sizeof(calls[0]))
        die("too many calls");
    calls[stream / 2].task = task;
    calls[stream / 2].kind = kind;
    next_stream += 2;
    send_all(request, size + HEADER);
}

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The stream of the next answer, which must be no refusal. */
static uint32_t receive(void)
{
    static unsigned char in[2 * MOST];
    static size_t have;
    ssize_t got;

    while (have < HEADER || have < HEADER + big_endian(in)) {
        got = recv(fd, in + have, sizeof(in) - have, 0);
        if (got <= 0)
            die("the connection has ended");
        have += (size_t)got;
    }
    const size_t size = HEADER + big_endian(in);
    const uint32_t stream = big_endian(in + 4);
    if (size > HEADER && in[HEADER] == (1 << 3 | 2)) {
        (void)fprintf(stderr, "task_load: %s: %.*s\n", methods[calls[stream / 2].kind],
                      (int)(size - HEADER), (const char *)in + HEADER);
        exit(1);
    }
    memmove(in, in + size, have - size);
    have -= size;
    return stream;
}

static double now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void run(uint32_t tasks, uint32_t at_once, enum kind last)
{
    uint32_t begun = 0, ended = 0;

    while (begun < at_once && begun < tasks)
        call(begun++, CREATE);
    while (ended < tasks) {
        const uint32_t stream = receive();
        const enum kind kind = calls[stream / 2].kind;

        if (kind != last) {
            call(calls[stream / 2].task, kind + 1);
            continue;
        }
        ended++;
        if (begun < tasks)
            call(begun++, CREATE);
    }
}

static void end_all(uint32_t tasks)
{
    static const enum kind kinds[] = {KILL, WAIT, DELETE};

    for (size_t i = 0; i < 3; i++) {
        for (uint32_t task = 0; task < tasks; task++) {
            call(task, kinds[i]);
            (void)receive();
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char word;

    if (argc < 6)
        die("usage: task_load SOCKET NAMESPACE BUNDLE TASKS AT_ONCE [keep]");
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
    space = argv[2];
    bundle = argv[3];
    const uint32_t tasks = (uint32_t)atoi(argv[4]), at_once = (uint32_t)atoi(argv[5]);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        die(strerror(errno));
    const double began = now();
    run(tasks, at_once, argc > 6 ? START : DELETE);
    (void)printf("%.0f\n", tasks / (now() - began));
    (void)fflush(stdout);
    if (argc > 6) {
        while (read(0, &word, 1) > 0)
            ;
        end_all(tasks);
    }
    return 0;
}
