/*
 * images_mount: the root file system of an image of several layers, and nothing else of a start.
 *
 *   images_mount KIND IDS BASE SOURCE NAME,NAME... leave | hold | keep | enter PROGRAM [ARG...]
 *
 * In a mount namespace of its own: the layers SOURCE/NAME, the lowest first, become one overlay
 * at BASE/root (one layer alone becomes it without an overlay), read-only, and their files belong
 * to the ids from IDS on (0: to those of the disk). KIND says what the layers are:
 *
 *   dirs   directories SOURCE/NAME/tree: SOURCE is cloned and id-mapped once
 *   file   EROFS images SOURCE/NAME: each is mounted from its file, and id-mapped
 *   loop   the same through loop devices with direct I/O
 *   kept   what `keep` has mounted on SOURCE/NAME/tree: cloned with SOURCE
 *
 * leave: exits when all is mounted. hold: writes a line and waits for the end of its input; the
 * layers are then below BASE/layers. enter: the root becomes the root, and PROGRAM in it runs.
 * keep: mounts the layers alone, below BASE/layers of the namespace that it was started in.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* From linux/mount.h, which musl's sys/mount.h does not go with. */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#define MOVE_MOUNT_F_EMPTY_PATH 0x4
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#define FSCONFIG_SET_FLAG 0
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_CMD_CREATE 6
#define MOUNT_ATTR_RDONLY 0x1
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x100000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

enum { MAX_LAYERS = 127, PATH_SIZE = 1024, OPTIONS_SIZE = 4096, ID_COUNT = 65536 };
enum kind { DIRS, FROM_FILE, LOOP, KEPT };

struct attributes {
    uint64_t set;
    uint64_t clear;
    uint64_t propagation;
    uint64_t userns;
};

struct image {
    enum kind kind;
    int userns; /* -1: no id map */
    const char *base;
    const char *source;
    char *names[MAX_LAYERS];
    size_t count;
};

static int must(long r, const char *what)
{
    if (r < 0) {
        (void)fprintf(stderr, "images_mount: %s: %s\n", what, strerror(errno));
        exit(125);
    }
    return (int)r;
}

static void path_of(char path[PATH_SIZE], const char *directory, const char *name, const char *file)
{
    int size = snprintf(path, PATH_SIZE, "%s/%s%s", directory, name, file);
    if (size < 0 || size >= PATH_SIZE) {
        errno = ENAMETOOLONG;
        (void)must(-1, name);
    }
}

/* --- ids --- */

static void write_map(pid_t child, const char *file, const char *first)
{
    char path[PATH_SIZE];
    char map[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, file);
    int size = snprintf(map, sizeof(map), "0 %s %d\n", first, ID_COUNT);
    int fd = must(open(path, O_WRONLY | O_CLOEXEC), path);
    (void)must(write(fd, map, (size_t)size), path);
    (void)close(fd);
}

/* A user namespace whose ids from 0 on are those from FIRST on, for a mount to be mapped by. */
static int make_userns(const char *first)
{
    if (strcmp(first, "0") == 0) {
        return -1;
    }
    pid_t child = (pid_t)must(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), "clone");
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    char path[PATH_SIZE];
    write_map(child, "uid_map", first);
    write_map(child, "gid_map", first);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
    int userns = must(open(path, O_RDONLY | O_CLOEXEC), path);
    (void)kill(child, SIGKILL);
    (void)must(waitpid(child, NULL, 0), "wait");
    return userns;
}

/* Maps the ids of the detached mount TREE, and puts it on TARGET. */
static void attach(const struct image *image, int tree, const char *target)
{
    struct attributes attributes = {.set = MOUNT_ATTR_RDONLY};
    if (image->userns >= 0) {
        attributes.set |= MOUNT_ATTR_IDMAP;
        attributes.userns = (uint64_t)image->userns;
    }
    (void)must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                       sizeof(attributes)),
               "mount_setattr");
    (void)must(syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH),
               target);
    (void)close(tree);
}

/* --- layers --- */

static void attach_directory(const struct image *image, const char *path, const char *target)
{
    int tree = must(
        syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE),
        path);
    attach(image, tree, target);
}

/* A device that goes with its last user; its name in PATH. The descriptor keeps it meanwhile. */
static int make_loop(const char *file, char path[PATH_SIZE])
{
    struct loop_config config = {
        .block_size = 4096,
        .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
    };
    int backing = must(open(file, O_RDONLY | O_CLOEXEC), file);
    int control = must(open("/dev/loop-control", O_RDWR | O_CLOEXEC), "/dev/loop-control");
    config.fd = (uint32_t)backing;
    for (;;) {
        int number = must(ioctl(control, LOOP_CTL_GET_FREE), "LOOP_CTL_GET_FREE");
        (void)snprintf(path, PATH_SIZE, "/dev/loop%d", number);
        int device = must(open(path, O_RDONLY | O_CLOEXEC), path);
        int r = ioctl(device, LOOP_CONFIGURE, &config);
        if (r < 0 && errno == EBUSY) { /* somebody else was quicker */
            (void)close(device);
            continue;
        }
        (void)must(r, path);
        (void)close(control);
        (void)close(backing);
        return device;
    }
}

static void attach_erofs(const struct image *image, const char *file, const char *target)
{
    char path[PATH_SIZE];
    int device = image->kind == LOOP ? make_loop(file, path) : -1;
    int fs = must(syscall(SYS_fsopen, "erofs", FSOPEN_CLOEXEC), "fsopen erofs");
    (void)must(
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", device < 0 ? file : path, 0),
        file);
    (void)must(syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0), "ro");
    (void)must(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), file);
    int tree = must(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0), file);
    (void)close(fs);
    if (device >= 0) {
        (void)close(device);
    }
    attach(image, tree, target);
}

static void attach_layers(const struct image *image, const char *layers)
{
    char file[PATH_SIZE];
    char target[PATH_SIZE];
    if (image->kind == DIRS || image->kind == KEPT) {
        attach_directory(image, image->source, layers);
        return;
    }
    (void)must(mount("layers", layers, "tmpfs", 0, "size=64k,mode=755"), layers);
    for (size_t i = 0; i < image->count; i++) {
        path_of(target, layers, image->names[i], "");
        (void)must(mkdir(target, 0755), target);
        path_of(target, layers, image->names[i], "/tree");
        (void)must(mkdir(target, 0755), target);
        path_of(file, image->source, image->names[i], "");
        attach_erofs(image, file, target);
    }
}

/* --- the root --- */

/* Named relative to LAYERS, the topmost first. */
static void mount_overlay(const struct image *image, const char *layers, const char *root)
{
    char options[OPTIONS_SIZE] = "userxattr,lowerdir=";
    size_t used = strlen(options);
    for (size_t i = image->count; i-- > 0;) {
        int size = snprintf(options + used, sizeof(options) - used, "%s/tree%s", image->names[i],
                            i == 0 ? "" : ":");
        if (size < 0 || (size_t)size >= sizeof(options) - used) {
            errno = E2BIG;
            (void)must(-1, "lowerdir");
        }
        used += (size_t)size;
    }
    (void)must(chdir(layers), layers);
    (void)must(mount("overlay", root, "overlay", MS_RDONLY, options), options);
}

static void mount_root(const struct image *image)
{
    char only[PATH_SIZE];
    char layers[PATH_SIZE];
    char root[PATH_SIZE];

    (void)must(unshare(CLONE_NEWNS), "unshare");
    (void)must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
    path_of(layers, image->base, "layers", "");
    path_of(root, image->base, "root", "");
    attach_layers(image, layers);
    if (image->count > 1) {
        mount_overlay(image, layers, root);
        return;
    }
    path_of(only, layers, image->names[0], "/tree");
    (void)must(mount(only, root, NULL, MS_BIND, NULL), root);
}

static void enter(const struct image *image, char **argv)
{
    char root[PATH_SIZE];
    path_of(root, image->base, "root", "");
    (void)must(chdir(root), root);
    (void)must(chroot("."), "chroot");
    (void)execv(argv[0], argv);
    (void)must(-1, argv[0]);
}

static enum kind parse_kind(const char *text)
{
    static const char *const words[] = {"dirs", "file", "loop", "kept"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, words[i]) == 0) {
            return (enum kind)i;
        }
    }
    errno = EINVAL;
    return (enum kind)must(-1, text);
}

static void parse_names(struct image *image, char *text)
{
    for (char *comma = text; comma != NULL && image->count < MAX_LAYERS;) {
        image->names[image->count++] = comma;
        comma = strchr(comma, ',');
        if (comma != NULL) {
            *comma++ = '\0';
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 7 || (strcmp(argv[6], "enter") == 0 && argc < 8)) {
        errno = EINVAL;
        (void)must(-1, "usage: images_mount KIND IDS BASE SOURCE NAMES leave|hold|keep|enter ...");
    }
    struct image image = {.kind = parse_kind(argv[1]), .base = argv[3], .source = argv[4]};
    parse_names(&image, argv[5]);
    image.userns = make_userns(argv[2]);
    if (strcmp(argv[6], "keep") == 0) {
        char layers[PATH_SIZE];
        path_of(layers, image.base, "layers", "");
        attach_layers(&image, layers);
        return 0;
    }
    mount_root(&image);
    if (strcmp(argv[6], "enter") == 0) {
        enter(&image, argv + 7);
    }
    if (strcmp(argv[6], "hold") == 0) {
        char byte;
        (void)printf("ready\n");
        (void)fflush(stdout);
        (void)must(read(STDIN_FILENO, &byte, 1), "read");
    }
    return 0;
}
