#include "base/accounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

enum { FILE_MAX = 4 << 20 };

int cl_accounts_read(const char *path, struct cl_buf *buf, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

    if (fd == -ENOENT)
        return 0;
    return fd < 0 ? cl_fail(err, fd, "open %s", path) : cl_read_all(fd, path, buf, err);
}

/* UID's name in the text of passwd(5): its size, at *RET; 0 when there is none. */
static size_t find_login(const char *text, uid_t uid, const char **ret)
{
    char wanted[16];

    (void)snprintf(wanted, sizeof(wanted), ":%u:", (unsigned int)uid);
    for (; *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n') {
        size_t name = strcspn(text, ":\n");
        size_t password = text[name] == ':' ? strcspn(text + name + 1, ":\n") : 0;

        if (text[name] == ':' && strncmp(text + name + 1 + password, wanted, strlen(wanted)) == 0) {
            *ret = text;
            return name;
        }
    }
    return 0;
}

void cl_accounts_login(uid_t uid, char ret[CL_LOGIN_SIZE])
{
    CL_CLEANUP_BUF struct cl_buf passwd = CL_BUF_INIT(FILE_MAX);
    struct cl_error ignored = {0}; /* $USER is as good then */
    const char *name = NULL;

    (void)cl_accounts_read("/etc/passwd", &passwd, &ignored);
    size_t size = find_login(cl_buf_text(&passwd), uid, &name);
    if (size == 0) {
        name = getenv("USER"); // NOLINT(concurrency-mt-unsafe): single-threaded
        size = name == NULL ? 0 : strlen(name);
    }
    if (size >= CL_LOGIN_SIZE) /* no name of which we could say it whole */
        size = 0;
    if (size > 0)
        memcpy(ret, name, size);
    ret[size] = '\0';
}

/* --- sub-ids ---------------------------------------------------------------------------- */

static int take_number(const char *text, size_t size, uint64_t *ret)
{
    char digits[24];

    if (size >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, text, size);
    digits[size] = '\0';
    return cl_parse_u64(digits, ret);
}

int cl_accounts_next_subids(const char **text, struct cl_subids *ret)
{
    const char *end = *text + strcspn(*text, "\n");

    if (**text == '\0')
        return 0;
    *ret = (struct cl_subids){.text = *text, .size = (size_t)(end - *text)};
    const char *first = memchr(ret->text, ':', ret->size);
    const char *count = first == NULL ? NULL : memchr(first + 1, ':', (size_t)(end - first - 1));
    uint64_t number = 0;
    ret->name_size = first == NULL ? ret->size : (size_t)(first - ret->text);
    if (count != NULL && take_number(first + 1, (size_t)(count - first - 1), &ret->first) == 0 &&
        take_number(count + 1, (size_t)(end - count - 1), &number) == 0)
        ret->count = number;
    *text = end + (*end == '\n');
    return 1;
}

static int is_of(const struct cl_subids *line, const char *name)
{
    return line->name_size > 0 && line->name_size == strlen(name) &&
           memcmp(line->text, name, line->name_size) == 0;
}

int cl_accounts_find_subids(const char *path, const char *login, uid_t uid, struct cl_id_range *ret,
                            struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(FILE_MAX);
    struct cl_subids line;
    char number[16];
    int r = cl_accounts_read(path, &buf, err);

    if (r < 0)
        return r;
    (void)snprintf(number, sizeof(number), "%u", (unsigned int)uid);
    for (const char *text = cl_buf_text(&buf); cl_accounts_next_subids(&text, &line);) {
        if (line.count == 0 || (!is_of(&line, login) && !is_of(&line, number)))
            continue;
        *ret = (struct cl_id_range){line.first, line.count};
        return 1;
    }
    return 0;
}

/* The end of a line of TEXT that has an id of the COUNT from FIRST on; 0: none has. */
static uint64_t end_of_overlap(const char *text, uint64_t first, uint64_t count)
{
    struct cl_subids line;

    while (cl_accounts_next_subids(&text, &line)) {
        if (line.count == 0 || line.first >= first + count ||
            (line.first < first && line.count <= first - line.first))
            continue;
        return line.count > UINT64_MAX - line.first ? UINT64_MAX : line.first + line.count;
    }
    return 0;
}

uint64_t cl_accounts_free_subids(const char *const texts[2])
{
    /* From where usermod's begin to where root's sandboxes have theirs, unless told otherwise;
     * files that usermod wrote are in order, and take one try for each line. */
    enum { FIRST = 100000, END = 0x70000000, COUNT = 65536, TRIES = 1000 };
    uint64_t first = FIRST;

    for (int i = 0; i < TRIES && first <= END - COUNT; i++) {
        uint64_t end = end_of_overlap(texts[0], first, COUNT);
        if (end == 0)
            end = end_of_overlap(texts[1], first, COUNT);
        if (end == 0)
            return first;
        first = end;
    }
    return 0;
}

void cl_accounts_cure_subids(const char *login, char ret[CL_SUBIDS_CURE_SIZE])
{
    CL_CLEANUP_BUF struct cl_buf uids = CL_BUF_INIT(FILE_MAX);
    CL_CLEANUP_BUF struct cl_buf gids = CL_BUF_INIT(FILE_MAX);
    struct cl_error ignored; /* what can't be read is taken for empty */

    (void)cl_accounts_read("/etc/subuid", &uids, &ignored);
    (void)cl_accounts_read("/etc/subgid", &gids, &ignored);
    const char *const texts[2] = {cl_buf_text(&uids), cl_buf_text(&gids)};
    const unsigned long long first = cl_accounts_free_subids(texts);
    const unsigned long long last = first + 65535;
    const char *name = login[0] == '\0' ? "USER" : login;
    if (first == 0)
        (void)snprintf(ret, CL_SUBIDS_CURE_SIZE,
                       "a line \"%s:FIRST:65536\" in /etc/subuid and in /etc/subgid", name);
    else
        (void)snprintf(ret, CL_SUBIDS_CURE_SIZE,
                       "usermod --add-subuids %llu-%llu --add-subgids %llu-%llu %s", first, last,
                       first, last, name);
}
