/*
 * Attack: talk to a host service over an abstract unix socket, which no file permission guards.
 * Layer: netns, landlock (scope).
 * Source: CVE-2020-15257 (containerd-shim); unix(7).
 */
#include "attack.h"

static void dial(int type, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    int fd = socket(AF_UNIX, type, 0);

    if (fd < 0)
        impossible("socket: %s", strerror(errno));
    memcpy(address.sun_path + 1, name, length);
    if (connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) == 0)
        escaped("connected to @%s", name);
    if (errno == ECONNREFUSED || is_refusal(errno))
        held("connect @%s: %s", name, strerror(errno));
    impossible("connect @%s: %s", name, strerror(errno));
}

static void stream(char **args)
{
    dial(SOCK_STREAM, need_arg(args, 0));
}

/* Every abstract name that /proc/net/unix shows. */
static void list(char **args)
{
    FILE *file = fopen("/proc/net/unix", "re");
    char line[512];

    if (!file)
        held("/proc/net/unix: %s", strerror(errno));
    while (fgets(line, sizeof line, file))
        if (strchr(line, '@'))
            escaped("sees %s", strchr(line, '@'));
    held("no abstract name is visible");
}

ATTACK({"stream", stream}, {"list", list})
