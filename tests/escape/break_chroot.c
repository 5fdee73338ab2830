/*
 * Attack: chroot below the working directory, then walk up past the root.
 * Layer: capabilities (SYS_CHROOT), seccomp, mountns (nothing of the host lies above).
 * Source: chroot(2), NOTES.
 */
#include "attack.h"

/* To the top of the mount namespace, which is then the working directory. */
static void leave(void)
{
    char dir[] = "/tmp/chroot-XXXXXX";

    if (!mkdtemp(dir))
        impossible("mkdtemp: %s", strerror(errno));
    if (chdir("/") < 0 || chroot(dir) < 0) {
        int error = errno;

        rmdir(dir);
        errno = error;
        judge_call("chroot", -1);
    }
    for (int i = 0; i < 64; i++)
        if (chdir("..") < 0)
            impossible("chdir ..: %s", strerror(errno));
}

static void walk_up(char **args)
{
    struct stat top, now;

    if (stat("/", &top) < 0)
        impossible("stat /: %s", strerror(errno));
    leave();
    if (stat(".", &now) < 0)
        impossible("stat .: %s", strerror(errno));
    if (now.st_dev != top.st_dev || now.st_ino != top.st_ino)
        escaped("walked above the root");
    held("chroot works but nothing is above");
}

/* What lies above, where something does: the host's file ARGS[0], whose path begins with "/"? */
static void read_above(char **args)
{
    struct stat found;

    leave();
    if (chroot(".") < 0)
        judge_call("chroot", -1);
    if (stat(args[0], &found) == 0)
        escaped("%s is within reach", args[0]);
    held("%s: %s", args[0], strerror(errno));
}

ATTACK({"walk_up", walk_up}, {"read_above", read_above})
