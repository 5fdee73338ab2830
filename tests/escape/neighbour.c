/*
 * Attack: read what another sandbox (of another tenant) has in memory, environment, files, shared
 *   memory, message queues and on its network. `victim` holds the secret, the others steal it.
 * Layer: pidns, ipcns, netns, mountns, userns (a uid range for each sandbox in root mode).
 * Source: namespaces(7), sysvipc(7); the aim of every multi-tenant escape.
 */
#include "attack.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/shm.h>

#define SECRET "neighbours-secret"

/* The port tells a victim's other names from those of a victim that lives at the same time. */
static key_t sysv_key(char **args)
{
    return 0x0c100000 + atoi(need_arg(args, 0));
}

static struct sockaddr_un abstract_name(char **args)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "cloister-neighbour-%s",
             need_arg(args, 0));
    return address;
}

/* args: the port, a path for the file, the seconds to live */
static void victim(char **args)
{
    static char secret[64]; /* filled here only: the thief's own copy at this address is empty */
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(need_arg(args, 0))),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un abstract = abstract_name(args);
    int tcp = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
    int file = open(need_arg(args, 1), O_CREAT | O_RDWR, 0666);
    int shm = shmget(sysv_key(args), 4096, IPC_CREAT | 0666);
    int queue = msgget(sysv_key(args), IPC_CREAT | 0666);
    int posix = open("/dev/shm/cloister-neighbour", O_CREAT | O_RDWR, 0666);

    memcpy(secret, SECRET, sizeof SECRET);
    if (file < 0 || write(file, secret, strlen(secret)) < 0)
        impossible("%s: %s", args[1], strerror(errno));
    if (tcp < 0 || bind(tcp, (void *)&address, sizeof address) < 0 || listen(tcp, 4) < 0)
        impossible("listen: %s", strerror(errno));
    if (local < 0 || bind(local, (void *)&abstract, sizeof abstract) < 0 || listen(local, 4) < 0)
        impossible("listen @: %s", strerror(errno));
    dprintf(1, "ready pid=%d secret=%p shm=%d queue=%d posix=%d\n", getpid(), (void *)secret, shm,
            queue, posix);
    sleep((unsigned)atoi(need_arg(args, 2)));
    unlink(args[1]);
    unlink("/dev/shm/cloister-neighbour");
    shmctl(shm, IPC_RMID, NULL);
    msgctl(queue, IPC_RMID, NULL);
    _exit(0);
}

static void file(char **args)
{
    char text[64];
    int fd = open(need_arg(args, 0), O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (n >= (ssize_t)strlen(SECRET) && !memcmp(text, SECRET, strlen(SECRET)))
        escaped("read the neighbour's %s", args[0]);
    held("%s: %s", args[0], strerror(errno));
}

/* args of this one and the next three: the victim's port */
static void tcp(char **args)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(need_arg(args, 0))),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};

    if (connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address) == 0)
        escaped("connected to the neighbour");
    held("connect: %s", strerror(errno));
}

static void abstract(char **args)
{
    struct sockaddr_un address = abstract_name(args);

    if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof address) == 0)
        escaped("connected to the neighbour");
    held("connect: %s", strerror(errno));
}

static void sysv_shm(char **args)
{
    if (shmget(sysv_key(args), 4096, 0) >= 0)
        escaped("found the neighbour's shared memory");
    held("shmget: %s", strerror(errno));
}

static void sysv_queue(char **args)
{
    if (msgget(sysv_key(args), 0) >= 0)
        escaped("found the neighbour's message queue");
    held("msgget: %s", strerror(errno));
}

static void posix_shm(char **args)
{
    if (access("/dev/shm/cloister-neighbour", F_OK) == 0)
        escaped("found the neighbour's /dev/shm file");
    held("/dev/shm: %s", strerror(errno));
}

/* args: the neighbour's pid and the secret's address, as seen where the attack can work */
static void memory(char **args)
{
    char text[64] = "";
    struct iovec local = {text, strlen(SECRET)};
    struct iovec remote = {(void *)strtoull(need_arg(args, 1), NULL, 16), strlen(SECRET)};

    if (syscall(SYS_process_vm_readv, atoi(args[0]), &local, 1L, &remote, 1L, 0L) > 0 &&
        !memcmp(text, SECRET, strlen(SECRET)))
        escaped("read the neighbour's memory");
    held("process_vm_readv: %s", strerror(errno));
}

/* Any process whose environment holds the argument; its own was cleaned by the test. */
static void environment(char **args)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[300], text[16384];
        int fd;
        ssize_t n;

        if (atoi(entry->d_name) <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
        fd = open(path, O_RDONLY);
        n = fd < 0 ? -1 : read(fd, text, sizeof text);
        if (fd >= 0)
            close(fd);
        if (n > 0 && memmem(text, (size_t)n, need_arg(args, 0), strlen(args[0])))
            escaped("read the environment of process %s", entry->d_name);
    }
    held("no process has it");
}

ATTACK({"victim", victim}, {"file", file}, {"tcp", tcp}, {"abstract", abstract},
       {"sysv_shm", sysv_shm}, {"sysv_queue", sysv_queue}, {"posix_shm", posix_shm},
       {"memory", memory}, {"environment", environment})
