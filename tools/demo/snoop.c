/* snoop.c - looks for a secret that the host and another sandbox hold.
 *
 * usage: snoop HOST-FILE NEIGHBOUR-PID
 * Tries the host's file by its path and through /proc, /etc/shadow, and in every process
 * that it can name the environment, the files, the memory and a debugger's grip. Prints
 * what each door answered. Exit status 1 when one of them gave the secret away.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#define SECRET "the-secret-is-"

static int found;

static void tell(const char *door, const char *answer)
{
    printf("%-64s %s\n", door, answer);
}

static void try_file(const char *path)
{
    static char data[1 << 16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (fd < 0) {
        tell(path, strerror(errno));
        return;
    }
    size = read(fd, data, sizeof(data));
    close(fd);
    if (size > 0 && memmem(data, (size_t)size, SECRET, sizeof(SECRET) - 1) != NULL) {
        found = 1;
        tell(path, "READ THE SECRET");
    } else {
        tell(path, size < 0 ? strerror(errno) : "opened, but there is no secret in it");
    }
}

static void try_shadow(void)
{
    int fd = open("/etc/shadow", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        found = 1;
        close(fd);
    }
    tell("/etc/shadow", fd < 0 ? strerror(errno) : "OPENED");
}

static void try_process(long pid, const char *host_file)
{
    static const char *const files[] = {"environ", "root/tmp/secret", "mem"};
    char path[512];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, files[i]);
        try_file(path);
    }
    (void)snprintf(path, sizeof(path), "/proc/%ld/root%s", pid, host_file);
    try_file(path);
}

static void try_debugger(long pid)
{
    char door[64];

    (void)snprintf(door, sizeof(door), "attach to process %ld as a debugger", pid);
    if (ptrace(PTRACE_SEIZE, (pid_t)pid, NULL, NULL) == 0) {
        found = 1;
        tell(door, "ATTACHED");
    } else {
        tell(door, strerror(errno));
    }
    (void)snprintf(door, sizeof(door), "send process %ld a signal", pid);
    if (kill((pid_t)pid, SIGCONT) == 0) {
        found = 1;
        tell(door, "SENT");
    } else {
        tell(door, strerror(errno));
    }
}

static void try_every_process(const char *host_file)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    if (processes == NULL)
        return;
    while ((entry = readdir(processes)) != NULL) {
        long pid = strtol(entry->d_name, NULL, 10);

        if (pid <= 0)
            continue;
        count++;
        if (pid != getpid())
            try_process(pid, host_file);
    }
    closedir(processes);
    printf("%-64s %d\n", "processes that can be seen, this one included", count);
}

int main(int argc, char *argv[])
{
    if (argc != 3)
        return 2;
    try_file(argv[1]);
    try_shadow();
    try_file("/tmp/secret");
    try_every_process(argv[1]);
    try_process(strtol(argv[2], NULL, 10), argv[1]);
    try_debugger(strtol(argv[2], NULL, 10));
    puts(found ? "the wall has a hole" : "nothing found");
    return found;
}
