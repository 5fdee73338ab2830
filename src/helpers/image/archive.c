/* The walk over an archive's headers. Extension headers are gathered until the member that they
 * are about; members with content and links are kept, sorted, and links replaced by what they
 * name. */
#include "helpers/image/archive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"
#include "helpers/common/report.h"
#include "helpers/image/tar_header.h"
#include "oci/compression.h"
#include "oci/quote.h"

struct entry {
    struct cl_archive_member member;
    const char *target; /* a link's: the name of a member; NULL: no link */
};

struct walk {
    int fd;
    uint64_t size; /* of the archive */
    uint64_t at;   /* where the next header is */
    struct cl_arena *arena;
    struct cl_tar_extension extension;
    struct entry *entries;
    size_t count;
    size_t room;
    size_t seen; /* members of any type */
};

/* --- bytes -------------------------------------------------------------------------- */

static int read_at(const struct walk *walk, uint64_t at, void *data, size_t size,
                   struct cl_error *err)
{
    size_t done = 0;

    if (at > walk->size || size > walk->size - at)
        return cl_refuse(err, EBADMSG, "the archive is cut short at byte %llu",
                         (unsigned long long)walk->size);
    while (done < size) {
        ssize_t got = cl_sys_pread(walk->fd, (char *)data + done, size - done, (off_t)(at + done));

        if (got == -EINTR)
            continue;
        if (got < 0)
            return cl_fail(err, (int)got, "read the archive");
        if (got == 0)
            return cl_refuse(err, EIO, "the archive shrinks while it is read");
        done += (size_t)got;
    }
    return 0;
}

/* What is handed to us instead of an archive. */
static int check_start(const struct walk *walk, struct cl_error *err)
{
    char start[CL_COMPRESSION_HEAD_SIZE];

    if (walk->size < CL_TAR_BLOCK)
        return cl_refuse(err, EBADMSG, walk->size == 0 ? "the file is empty" : "no tar archive");
    int r = read_at(walk, 0, start, sizeof(start), err);
    if (r < 0)
        return r;
    const char *program = cl_compression_guess(start, sizeof(start)).program;
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

/* A member's own name may have "." in it, and no "..". */
static int clean_name(const char *text, struct cl_arena *arena, const char **ret,
                      struct cl_error *err)
{
    char room[CL_TAR_MAX_NAME + 1] = "";
    int has_dots = strcmp(text, "..") == 0 || strncmp(text, "../", 3) == 0 ||
                   strstr(text, "/../") != NULL ||
                   (strlen(text) > 2 && strcmp(text + strlen(text) - 3, "/..") == 0);

    if (has_dots || add_parts(room, sizeof(room), text) < 0)
        return cl_refuse(err, EBADMSG, "it leads out of the archive, or is too long");
    if (room[0] == '\0')
        return cl_refuse(err, EBADMSG, "it has no name");
    *ret = cl_arena_strdup(arena, room);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* A symbolic link counts from its directory, a hard link from the archive's top. */
static int find_target(const struct cl_tar_header *header, const char *name, struct cl_arena *arena,
                       const char **ret, struct cl_error *err)
{
    char room[CL_TAR_MAX_NAME + 1] = "";
    const char *slash = strrchr(name, '/');
    char quoted[CL_QUOTE_SIZE];

    if (header->type == CL_TAR_SYMLINK && slash != NULL)
        memcpy(room, name, (size_t)(slash - name)); /* zeros follow */
    if (add_parts(room, sizeof(room), header->link) < 0 || room[0] == '\0')
        return cl_refuse(err, EBADMSG, "a link out of the archive, to \"%s\"",
                         cl_quote(header->link, quoted));
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

static int take_member(struct walk *walk, const struct cl_tar_header *header, struct cl_error *err)
{
    struct entry entry = {
        .member = {.offset_bytes = walk->at + CL_TAR_BLOCK, .size_bytes = header->size_bytes}};
    int r = 0;

    if (++walk->seen > CL_ARCHIVE_MAX_MEMBERS)
        return cl_refuse(err, E2BIG, "the archive has more than %d members",
                         CL_ARCHIVE_MAX_MEMBERS);
    if (header->type == CL_TAR_OTHER)
        return 0;
    r = clean_name(header->name, walk->arena, &entry.member.name, err);
    if (r == 0 && header->type != CL_TAR_FILE)
        r = find_target(header, entry.member.name, walk->arena, &entry.target, err);
    return r < 0 ? r : add_entry(walk, &entry, err);
}

static int take_extension(struct walk *walk, const struct cl_tar_header *header,
                          struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf data = CL_BUF_INIT(CL_TAR_MAX_EXTENSION);

    if (header->size_bytes > CL_TAR_MAX_EXTENSION)
        return cl_refuse(err, E2BIG, "an extension of more than %d bytes", CL_TAR_MAX_EXTENSION);
    if (cl_buf_grow(&data, header->size_bytes) < 0)
        return cl_fail_memory(err);
    int r = read_at(walk, walk->at + CL_TAR_BLOCK, data.data, data.size, err);
    if (r < 0)
        return r;
    if (header->type == CL_TAR_PAX_GLOBAL && ++walk->seen > CL_ARCHIVE_MAX_MEMBERS)
        return cl_refuse(err, E2BIG, "more than %d headers", CL_ARCHIVE_MAX_MEMBERS);
    const struct cl_bytes bytes = {cl_buf_text(&data), data.size};
    return cl_tar_extend(header->type, &bytes, walk->arena, &walk->extension, err);
}

static int take_block(struct walk *walk, const unsigned char block[CL_TAR_BLOCK],
                      enum cl_tar_type type, struct cl_tar_header *header, struct cl_error *err)
{
    static const struct cl_tar_extension none;
    /* an extension's own name and size are its header's */
    const int is_extension = cl_tar_is_extension(type);
    int r = cl_tar_parse(block, is_extension ? &none : &walk->extension, walk->arena, header, err);

    if (r == 0)
        r = is_extension ? take_extension(walk, header, err) : take_member(walk, header, err);
    if (r == 0 && !is_extension)
        walk->extension = none;
    return r;
}

static int take_header(struct walk *walk, const unsigned char block[CL_TAR_BLOCK],
                       struct cl_error *err)
{
    enum cl_tar_type type = CL_TAR_OTHER;
    struct cl_tar_header header = {.type = CL_TAR_OTHER};
    int r = cl_tar_parse_type(block, &type, err);

    if (r == 0)
        r = take_block(walk, block, type, &header, err);
    if (r < 0)
        return r;
    uint64_t padded = (header.size_bytes + CL_TAR_BLOCK - 1) / CL_TAR_BLOCK * CL_TAR_BLOCK;
    walk->at += CL_TAR_BLOCK + padded;
    return walk->at > walk->size ? cl_refuse(err, EBADMSG, "the archive is cut short within it")
                                 : 0;
}

static int name_header(const unsigned char block[CL_TAR_BLOCK], const struct walk *walk,
                       struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];
    const char *name = walk->extension.name;

    (void)(name != NULL
               ? cl_quote(name, quoted)
               : cl_quote_part((const char *)block, strnlen((const char *)block, 100), quoted));
    return cl_prefix(err, "member \"%s\"", quoted);
}

static int refuse_block(const struct walk *walk, struct cl_error *err)
{
    if (walk->at == 0)
        return cl_refuse(err, EBADMSG, "no tar archive");
    return cl_refuse(err, EBADMSG, "the archive is damaged at byte %llu",
                     (unsigned long long)walk->at);
}

/* Two blocks of zeros end an archive, and one is enough to know that nothing is missing. */
static int check_end(const struct walk *walk, struct cl_error *err)
{
    const struct cl_tar_extension *extension = &walk->extension;

    if (extension->name != NULL || extension->link != NULL || extension->has_size)
        return cl_refuse(err, EBADMSG, "the archive ends where a member was announced");
    return 0;
}

static int walk_headers(struct walk *walk, struct cl_error *err)
{
    unsigned char block[CL_TAR_BLOCK];

    for (;;) {
        int r = read_at(walk, walk->at, block, sizeof(block), err);

        if (r < 0)
            return r;
        if (cl_tar_is_zero(block))
            return check_end(walk, err);
        if (!cl_tar_is_header(block))
            return refuse_block(walk, err);
        r = take_header(walk, block, err);
        if (r < 0)
            return r == -ENOMEM ? r : name_header(block, walk, err);
    }
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
            return cl_refuse(err, EBADMSG, "member \"%s\" stands twice",
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
        return cl_refuse(err, EBADMSG, "member \"%s\": a link to \"%s\", which is %s",
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

int cl_archive_list(int fd, const char *name, struct cl_arena *arena, struct cl_archive_record *ret,
                    struct cl_error *err)
{
    struct walk walk = {.fd = fd, .arena = arena};
    int r = find_size(fd, &walk.size, err);

    if (r == 0)
        r = check_start(&walk, err);
    if (r == 0)
        r = walk_headers(&walk, err);
    if (r == 0)
        r = finish(&walk, ret, err);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(name)) : 0;
}
