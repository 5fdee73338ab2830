/* The walk over an archive's members: files and links are kept, sorted, and links replaced by what
 * they name. */
#include "helpers/image/archive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "helpers/common/report.h"
#include "helpers/image/tar.h"
#include "oci/compression.h"
#include "oci/quote.h"

enum { MAX_NAME = 4095 };

struct entry {
    struct cl_archive_member member;
    const char *target; /* a link's: the name of a member; NULL: no link */
};

struct walk {
    struct cl_tar *tar; /* the arena's: it is large for a stack; NULL: not started */
    struct cl_arena *arena;
    struct entry *entries;
    size_t count;
    size_t room;
    size_t seen; /* members of any type */
};

static void walk_done(struct walk *walk)
{
    if (walk->tar != NULL)
        cl_tar_done(walk->tar);
}

/* What is handed to us instead of an archive. */
static int check_start(int fd, uint64_t size, struct cl_error *err)
{
    char start[CL_COMPRESSION_HEAD_SIZE];

    if (size < CL_TAR_BLOCK)
        return cl_refuse(err, EINVAL, size == 0 ? "the file is empty" : "it is no tar archive");
    ssize_t got = cl_sys_pread(fd, start, sizeof(start), 0);
    if (got < 0)
        return cl_fail(err, (int)got, "read the archive");
    const char *program = cl_compression_guess(start, (size_t)got)->program;
    if (program != NULL)
        return cl_refuse(err, ENOTSUP,
                         "the archive is compressed by %s; uncompress it first (%s -d)", program,
                         program);
    return 0;
}

/* --- names ---------------------------------------------------------------------------- */

/* Puts at ROOM's end what TEXT says from there: its parts without ".", where ".." takes the
 * part before. -EINVAL where it leads out. */
static int add_parts(char *room, size_t room_size, const char *text)
{
    if (text[0] == '/')
        return -EINVAL;
    while (*text != '\0') {
        size_t size = strcspn(text, "/");
        size_t used = strlen(room);

        if (size == 2 && memcmp(text, "..", 2) == 0) {
            char *slash = strrchr(room, '/');

            if (used == 0)
                return -EINVAL;
            *(slash == NULL ? room : slash) = '\0';
        } else if (size > 0 && !(size == 1 && text[0] == '.')) {
            if (used + (used > 0) + size + 1 > room_size)
                return -ENAMETOOLONG;
            if (used > 0)
                room[used++] = '/';
            memcpy(room + used, text, size);
            room[used + size] = '\0';
        }
        text += size + (text[size] == '/');
    }
    return 0;
}

static int take_text(const struct cl_tar_text *text, struct cl_arena *arena, const char **ret,
                     struct cl_error *err)
{
    if (text->size > 0 && memchr(text->data, '\0', text->size) != NULL)
        return cl_refuse(err, EINVAL, "a name that holds a NUL");
    *ret = cl_arena_strndup(arena, text->data, text->size);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* A member's own name may have "." in it, and no "..". */
static int clean_name(const char *text, struct cl_arena *arena, const char **ret,
                      struct cl_error *err)
{
    char room[MAX_NAME + 1] = "";
    int has_dots = strcmp(text, "..") == 0 || strncmp(text, "../", 3) == 0 ||
                   strstr(text, "/../") != NULL ||
                   (strlen(text) > 2 && strcmp(text + strlen(text) - 3, "/..") == 0);

    if (has_dots || add_parts(room, sizeof(room), text) < 0)
        return cl_refuse(err, EINVAL, "it leads out of the archive, or is too long");
    if (room[0] == '\0')
        return cl_refuse(err, EINVAL, "it has no name");
    *ret = cl_arena_strdup(arena, room);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* What LINK names, from the directory that the name BASE is in; "": the archive's top. */
static int find_target(const char *link, const char *base, struct cl_arena *arena, const char **ret,
                       struct cl_error *err)
{
    char room[MAX_NAME + 1] = "";
    const char *slash = strrchr(base, '/');
    char quoted[CL_QUOTE_SIZE];

    if (slash != NULL)
        memcpy(room, base, (size_t)(slash - base)); /* zeros follow */
    if (add_parts(room, sizeof(room), link) < 0 || room[0] == '\0')
        return cl_refuse(err, EINVAL, "a link out of the archive, to \"%s\"",
                         cl_quote(link, quoted));
    *ret = cl_arena_strdup(arena, room);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* --- members ------------------------------------------------------------------------------ */

static int add_entry(struct walk *walk, const struct entry *entry, struct cl_error *err)
{
    if (walk->count == walk->room) {
        size_t room = walk->room == 0 ? 64 : walk->room * 2;
        struct entry *entries = cl_arena_array(walk->arena, room, sizeof(*entries));

        if (entries == NULL)
            return cl_fail_memory(err);
        if (walk->count > 0)
            memcpy(entries, walk->entries, walk->count * sizeof(*entries));
        walk->entries = entries;
        walk->room = room;
    }
    walk->entries[walk->count++] = *entry;
    return 0;
}

/* A symbolic link counts from its directory, a hard link from the archive's top. */
static int take_link(struct walk *walk, const struct cl_tar_entry *found, struct entry *entry,
                     struct cl_error *err)
{
    const char *base = found->type == CL_TAR_SYMLINK ? entry->member.name : "";
    const char *link = NULL;
    int r = take_text(&found->link, walk->arena, &link, err);

    return r < 0 ? r : find_target(link, base, walk->arena, &entry->target, err);
}

static int take_names(struct walk *walk, const struct cl_tar_entry *found, struct entry *entry,
                      struct cl_error *err)
{
    const char *name = NULL;
    int r = take_text(&found->name, walk->arena, &name, err);

    if (r == 0)
        r = clean_name(name, walk->arena, &entry->member.name, err);
    if (r == 0 && found->type != CL_TAR_FILE)
        r = take_link(walk, found, entry, err);
    return r;
}

static int take_member(struct walk *walk, const struct cl_tar_entry *found, struct cl_error *err)
{
    struct entry entry = {
        .member = {.offset_bytes = cl_tar_position(walk->tar), .size_bytes = found->size}};
    char quoted[CL_QUOTE_SIZE];
    int r = 0;

    if (found->is_sparse)
        r = cl_refuse(err, ENOTSUP, "a sparse file; make the archive without (tar without -S)");
    if (r == 0)
        r = take_names(walk, found, &entry, err);
    if (r < 0)
        return r == -ENOMEM ? r
                            : cl_prefix(err, "member \"%s\"", cl_tar_quote(&found->name, quoted));
    return add_entry(walk, &entry, err);
}

static int is_kept(const struct cl_tar_entry *found)
{
    return found->type == CL_TAR_FILE || found->type == CL_TAR_HARD_LINK ||
           found->type == CL_TAR_SYMLINK;
}

static int walk_members(struct walk *walk, struct cl_error *err)
{
    struct cl_tar_entry found;
    int r;

    while ((r = cl_tar_next(walk->tar, &found, err)) > 0) {
        if (++walk->seen > CL_ARCHIVE_MAX_MEMBERS)
            return cl_refuse(err, E2BIG, "the archive has more than %d members",
                             CL_ARCHIVE_MAX_MEMBERS);
        r = is_kept(&found) ? take_member(walk, &found, err) : 0;
        if (r < 0)
            return r;
    }
    return r;
}

/* --- the whole ------------------------------------------------------------------------------ */

static int compare(const struct entry *a, const struct entry *b)
{
    return strcmp(a->member.name, b->member.name);
}

/* Lets the entry at ROOT sink until the heap of COUNT entries is one again. */
static void sink(struct entry *heap, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;

        if (child >= count)
            return;
        if (child + 1 < count && compare(&heap[child], &heap[child + 1]) < 0)
            child++;
        if (compare(&heap[root], &heap[child]) >= 0)
            return;
        const struct entry moved = heap[root];
        heap[root] = heap[child];
        heap[child] = moved;
        root = child;
    }
}

/* Heapsort: glibc's qsort asks the kernel how much memory there is, which the jail forbids. */
static void sort(struct entry *entries, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sink(entries, root, count);
    for (size_t last = count; last-- > 1;) {
        const struct entry largest = entries[0];

        entries[0] = entries[last];
        entries[last] = largest;
        sink(entries, 0, last);
    }
}

static const struct entry *find(const struct walk *walk, const char *name)
{
    size_t low = 0;
    size_t high = walk->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, walk->entries[middle].member.name);

        if (order == 0)
            return &walk->entries[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static int check_twice(const struct walk *walk, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    for (size_t i = 1; i < walk->count; i++) {
        if (compare(&walk->entries[i - 1], &walk->entries[i]) == 0)
            return cl_refuse(err, EINVAL, "member \"%s\" stands twice",
                             cl_quote(walk->entries[i].member.name, quoted));
    }
    return 0;
}

/* Puts into RET where LINK's bytes are. */
static int follow(const struct walk *walk, const struct entry *link, struct cl_archive_member *ret,
                  struct cl_error *err)
{
    const struct entry *found = find(walk, link->target);
    char name[CL_QUOTE_SIZE];
    char target[CL_QUOTE_SIZE];

    if (found == NULL || found->target != NULL)
        return cl_refuse(err, EINVAL, "member \"%s\": a link to \"%s\", which is %s",
                         cl_quote(link->member.name, name), cl_quote(link->target, target),
                         found == NULL ? "no file of the archive" : "a link itself");
    ret->offset_bytes = found->member.offset_bytes;
    ret->size_bytes = found->member.size_bytes;
    return 0;
}

static int finish(struct walk *walk, struct cl_archive_record *ret, struct cl_error *err)
{
    struct cl_archive_member *items = cl_arena_array(walk->arena, walk->count, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    sort(walk->entries, walk->count);
    int r = check_twice(walk, err);
    for (size_t i = 0; r == 0 && i < walk->count; i++) {
        items[i] = walk->entries[i].member;
        if (walk->entries[i].target != NULL)
            r = follow(walk, &walk->entries[i], &items[i], err);
    }
    if (r < 0)
        return r;
    ret->members = (struct cl_archive_members){items, walk->count};
    ret->set = CL_RECORD_BIT(CL_ARCHIVE_MEMBERS);
    return 0;
}

static int find_size(int fd, uint64_t *ret, struct cl_error *err)
{
    off_t size = lseek(fd, 0, SEEK_END);

    if (size < 0)
        return cl_refuse(err, errno,
                         errno == ESPIPE ? "the archive must be a file, not a pipe"
                                         : "the archive's size can't be told");
    *ret = (uint64_t)size;
    return 0;
}

static int list(int fd, struct walk *walk, struct cl_archive_record *ret, struct cl_error *err)
{
    uint64_t size = 0;
    int r = find_size(fd, &size, err);

    if (r == 0)
        r = check_start(fd, size, err);
    if (r < 0)
        return r;
    walk->tar = cl_arena_alloc(walk->arena, sizeof(*walk->tar));
    if (walk->tar == NULL)
        return cl_fail_memory(err);
    r = cl_tar_start_file(walk->tar, fd, size, err);
    if (r == 0)
        r = walk_members(walk, err);
    return r < 0 ? r : finish(walk, ret, err);
}

int cl_archive_list(int fd, const char *name, struct cl_arena *arena, struct cl_archive_record *ret,
                    struct cl_error *err)
{
    CL_CLEANUP(walk_done) struct walk walk = {.arena = arena};
    int r = list(fd, &walk, ret, err);

    return r < 0 ? cl_prefix(err, "%s", cl_report_name(name)) : 0;
}
