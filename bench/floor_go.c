/* The parent's go to the child; see floor.h. */
#define _GNU_SOURCE
#include "floor.h"

#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GO_MAX_FDS = 2 + FLOOR_MAX_CGROUPS };

union go_control {
    char bytes[CMSG_SPACE(GO_MAX_FDS * sizeof(int))];
    struct cmsghdr header;
};

bool floor_needs_go(const struct floor_options *options)
{
    return options->namespaces & CLONE_NEWUSER || options->mounts || options->late_cgroups;
}

static void futex_wait(uint32_t wanted)
{
    uint32_t value;
    while ((value = __atomic_load_n(&floor_shared->go, __ATOMIC_ACQUIRE)) != wanted) {
        (void)syscall(SYS_futex, &floor_shared->go, FUTEX_WAIT, value, NULL, NULL, 0);
    }
}

static void futex_set(uint32_t value)
{
    __atomic_store_n(&floor_shared->go, value, __ATOMIC_RELEASE);
    (void)syscall(SYS_futex, &floor_shared->go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The order of descriptors in the message: root and dev tree, each if there is one, cgroups. */
static size_t collect_fds(const struct floor_run *run, int fds[GO_MAX_FDS])
{
    size_t count = 0;
    if (run->trees.root_fd >= 0) {
        fds[count++] = run->trees.root_fd;
    }
    if (run->trees.dev_fd >= 0) {
        fds[count++] = run->trees.dev_fd;
    }
    for (size_t i = 0; run->options->late_cgroups && i < run->cgroups.count; i++) {
        fds[count++] = run->cgroups.items[i].tasks_fd;
    }
    return count;
}

static void spread_fds(struct floor_run *run, const int *fds, size_t count)
{
    const struct floor_options *options = run->options;
    size_t next = 0;
    if (options->mounts && options->root != ROOT_BIND && next < count) {
        run->trees.root_fd = fds[next++];
    }
    if (options->mounts && (options->dev == DEV_TEMPLATE || options->dev == DEV_TMPFS_MKNOD) &&
        next < count) {
        run->trees.dev_fd = fds[next++];
    }
    while (next < count) {
        run->cgroups.items[run->cgroups.count++].tasks_fd = fds[next++];
    }
}

void floor_go_send(struct floor_run *run)
{
    if (run->options->wait == WAIT_FUTEX) {
        floor_shared->trees = run->trees;
        floor_shared->cgroups = run->cgroups;
        futex_set(1);
        futex_wait(2);
        floor_stamp_parent("go");
        return;
    }
    int fds[GO_MAX_FDS];
    size_t count = collect_fds(run, fds);
    char byte = 'g';
    union go_control control = {.bytes = {0}};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    floor_must(sendmsg(run->go[1], &message, 0), "go");
    floor_stamp_parent("go");
}

void floor_go_wait(struct floor_run *run)
{
    if (run->options->wait == WAIT_FUTEX) {
        futex_wait(1);
        run->trees = floor_shared->trees;
        run->cgroups = floor_shared->cgroups;
        floor_must(unshare(CLONE_FILES), "unshare the descriptor table");
        futex_set(2);
        return;
    }
    char byte;
    union go_control control;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    floor_must(recvmsg(run->go[0], &message, MSG_CMSG_CLOEXEC), "go");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int fds[GO_MAX_FDS];
    size_t size = header != NULL ? header->cmsg_len - CMSG_LEN(0) : 0;
    if (size > sizeof(fds)) {
        size = sizeof(fds);
    }
    if (size > 0) {
        memcpy(fds, CMSG_DATA(header), size);
    }
    spread_fds(run, fds, size / sizeof(int));
}
