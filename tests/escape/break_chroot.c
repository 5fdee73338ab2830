/*
 * Attack: chroot below the working directory, then walk up past the root.
 * Layer: capabilities (SYS_CHROOT), seccomp, mountns (pivot_root leaves nothing above).
 * Source: chroot(2), NOTES.
 */
#include "attack.h"

static void walk_up(char **args)
{
    struct stat top, now;
    char dir[] = "/tmp/chroot-XXXXXX";

    if (stat("/", &top) < 0 || !mkdtemp(dir))
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
    if (stat(".", &now) < 0)
        impossible("stat .: %s", strerror(errno));
    if (now.st_dev != top.st_dev || now.st_ino != top.st_ino)
        escaped("walked above the root");
    held("chroot works but nothing is above");
}

ATTACK({"walk_up", walk_up})
