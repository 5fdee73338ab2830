/*
 * Attack: take a key from the caller's session or user keyring, or leave one for the host.
 * Layer: keyring (a new session keyring), seccomp (keyctl, add_key, request_key), userns.
 * Source: keyrings(7), session-keyring(7); CVE-2016-0728 for the code behind.
 */
#include "attack.h"

static void search(long keyring, char **args)
{
    char payload[64];
    long key = syscall(SYS_keyctl, 10L, keyring, "user", need_arg(args, 0), 0L);
    int error = errno;
    long n;

    if (key < 0 && (is_refusal(error) || error == ENOKEY))
        held("search: %s", strerror(error));
    if (key < 0)
        impossible("search: %s", strerror(error));
    n = syscall(SYS_keyctl, 11L, key, payload, sizeof payload);
    escaped("found the host's key %ld%s", key, n > 0 ? " and read it" : "");
}

static void session(char **args)
{
    search(-3, args);
}

static void user_session(char **args)
{
    search(-5, args);
}

static void user_keyring(char **args)
{
    search(-4, args);
}

/* Serial numbers are global: a key can be named without being found. args: the number */
static void by_number(char **args)
{
    char text[256];
    long rc = syscall(SYS_keyctl, 6L, atol(need_arg(args, 0)), text, sizeof text);

    if (rc < 0 && (errno == ENOKEY || errno == EACCES))
        held("describe: %s", strerror(errno));
    judge_call("keyctl(DESCRIBE)", rc);
}

static void proc_keys(char **args)
{
    FILE *file = fopen("/proc/keys", "re");
    char line[512];

    if (!file)
        held("/proc/keys: %s", strerror(errno));
    while (fgets(line, sizeof line, file))
        if (strstr(line, need_arg(args, 0)))
            escaped("/proc/keys names it");
    held("/proc/keys does not name it");
}

ATTACK({"session", session}, {"user_session", user_session}, {"user_keyring", user_keyring},
       {"by_number", by_number}, {"proc_keys", proc_keys})
