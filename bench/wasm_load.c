/*
 * A client of a worker for many guests, which has COUNT of them run, DEPTH at a time, each with
 * limits, a pipe for its output, and its result, all of which it looks at.
 *
 *   wasm_load SOCKET MODULE COUNT DEPTH [DOOR...]    prints how many nanoseconds it took
 *
 * DOORs are files of cgroups, which guests with processes of their own enter.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "worker/orders.h"

enum { MOST_DEPTH = 256 };

static int worker;
static int module;
static int outputs[MOST_DEPTH];
static int doors[CL_ORDER_MAX_GROUPS];
static unsigned int door_count;

static void fail(const char *what)
{
    fprintf(stderr, "wasm_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned long long now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

/* The guest's number is its slot. */
static void start(unsigned int slot)
{
    struct {
        struct cl_order_run run;
        char words[6];
    } order = {
        .run =
            {
                .order = {.version = CL_WORKER_VERSION, .kind = CL_ORDER_RUN, .guest = slot},
                .memory_bytes = 16 << 20,
                .cpu_time_ns = 1000000000,
                .time_ns = 10000000000,
                .output_bytes = 1 << 20,
                .max_descriptors = 16,
                .streams = 1 << 1,
                .arguments = 1,
                .groups = door_count,
            },
        .words = "hello",
    };
    union {
        char bytes[CMSG_SPACE((2 + CL_ORDER_MAX_GROUPS) * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec body = {&order, sizeof(order.run) + sizeof(order.words)};
    struct msghdr header = {.msg_iov = &body,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = CMSG_SPACE((2 + door_count) * sizeof(int))};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    outputs[slot] = ends[0];
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN((2 + door_count) * sizeof(int));
    memcpy(CMSG_DATA(cmsg), (int[]){module, ends[1]}, 2 * sizeof(int));
    memcpy(CMSG_DATA(cmsg) + 2 * sizeof(int), doors, door_count * sizeof(int));
    if (sendmsg(worker, &header, 0) < 0)
        fail("send an order");
    close(ends[1]);
}

/* Which slot is free again. */
static unsigned int finish(void)
{
    struct cl_answer answer;
    char said[16];

    if (recv(worker, &answer, sizeof(answer), 0) != (ssize_t)sizeof(answer))
        fail("receive an answer");
    if (answer.kind != CL_ANSWER_ENDED || answer.status != CL_ANSWER_EXITED || answer.code != 0 ||
        answer.guest >= MOST_DEPTH) {
        fprintf(stderr, "wasm_load: kind %u, status %u, code %u: %.200s\n", answer.kind,
                answer.status, answer.code, answer.message);
        exit(1);
    }
    const int output = outputs[answer.guest];
    if (read(output, said, sizeof(said)) != 6 || memcmp(said, "hello\n", 6) != 0)
        fail("read what it said");
    close(output);
    return (unsigned int)answer.guest;
}

static void connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    worker = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (worker < 0 || connect(worker, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail(path);
}

int main(int argc, char *argv[])
{
    if (argc < 5 || argc > 5 + CL_ORDER_MAX_GROUPS)
        return 2;
    const int count = atoi(argv[3]);
    const int depth = atoi(argv[4]);

    if (depth < 1 || depth > MOST_DEPTH || count < depth)
        return 2;
    connect_to(argv[1]);
    module = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (module < 0)
        fail(argv[2]);
    for (int i = 5; i < argc; i++) {
        doors[door_count] = open(argv[i], O_WRONLY | O_CLOEXEC);
        if (doors[door_count++] < 0)
            fail(argv[i]);
    }
    const unsigned long long begun = now_ns();
    for (unsigned int slot = 0; slot < (unsigned int)depth; slot++)
        start(slot);
    for (int i = depth; i < count; i++)
        start(finish());
    for (int i = 0; i < depth; i++)
        (void)finish();
    printf("%llu\n", now_ns() - begun);
    return 0;
}
