/* Which uids and gids root's sandboxes have: what /etc/subuid and /etc/subgid say. */
#include <stdio.h>
#include <string.h>

#include "base/accounts.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "sandbox/ids.h"

#define OURS "cloister:"
#define HOW "\"" OURS "FIRST:COUNT\" in /etc/subuid and /etc/subgid"
enum { FILE_MAX = 1 << 20, SIZE_USUAL = 1024, LINE_SHOWN = 100 };

static const char *const paths[2] = {"/etc/subuid", "/etc/subgid"};

static int is_ours(const struct cl_subids *line)
{
    return strncmp(line->text, OURS, strlen(OURS)) == 0;
}

static int shown(const struct cl_subids *line)
{
    return (int)cl_min_u64(line->size, LINE_SHOWN);
}

/* Our line of TEXT: 1, 0 when it has none, or -errno. */
static int find_ours(const char *text, const char *path, struct cl_subids *ret,
                     struct cl_error *err)
{
    struct cl_subids line;
    int found = 0;

    while (cl_accounts_next_subids(&text, &line)) {
        if (!is_ours(&line))
            continue;
        if (found)
            return cl_refuse(err, EINVAL, "%s has two lines of cloister; leave one", path);
        found = 1;
        *ret = line;
    }
    return found;
}

/* The whole, aligned ranges in LINE, of which there must be one at least. */
static int take_range(const struct cl_subids *line, const char *path, struct cl_ids_range *ret,
                      struct cl_error *err)
{
    const uint64_t size = CL_IDS_SIZE;
    const uint64_t top = (uint64_t)(CL_IDS_SLOTS - 1) * size; /* above it lies uid -1 */
    uint64_t low = 0;
    uint64_t high = 0;

    if (line->first < top && line->count <= top - line->first) {
        low = (line->first + size - 1) / size;
        high = (line->first + line->count) / size;
    }
    if (low == 0 || low >= high)
        return cl_refuse(err, EINVAL,
                         "\"%.*s\" in %s gives no uids to sandboxes; write a line " HOW
                         ", from %u to below %u, with %u from a multiple of that on",
                         shown(line), line->text, path, CL_IDS_SIZE, (unsigned int)top,
                         CL_IDS_SIZE);
    *ret = (struct cl_ids_range){(uint32_t)(low * size), (uint32_t)(high - low)};
    return 0;
}

/* Nobody else's ids may be a sandbox's. */
static int check_others(const char *text, const char *path, const struct cl_ids_range *range,
                        struct cl_error *err)
{
    const uint64_t end = (uint64_t)range->first + (uint64_t)range->count * CL_IDS_SIZE;
    struct cl_subids line;

    while (cl_accounts_next_subids(&text, &line)) {
        if (is_ours(&line) || line.count == 0 || line.first >= end ||
            (line.first < range->first && line.count <= range->first - line.first))
            continue;
        return cl_refuse(err, EEXIST,
                         "\"%.*s\" in %s overlaps the uids %u to %u of sandboxes; move that range, "
                         "or theirs by a line " HOW,
                         shown(&line), line.text, path, (unsigned int)range->first,
                         (unsigned int)(end - 1));
    }
    return 0;
}

int cl_ids_range_parse(const char *const texts[2], struct cl_ids_range *ret, struct cl_error *err)
{
    struct cl_ids_range range = CL_IDS_DEFAULT;
    struct cl_subids ours[2];
    int found[2];
    int r = 0;

    for (int i = 0; i < 2; i++) {
        found[i] = find_ours(texts[i], paths[i], &ours[i], err);
        if (found[i] < 0)
            return found[i];
    }
    /* A sandbox's uids and gids are the same numbers. */
    if (found[0] != found[1] ||
        (found[0] &&
         (ours[0].size != ours[1].size || memcmp(ours[0].text, ours[1].text, ours[0].size) != 0)))
        return cl_refuse(err, EINVAL,
                         "%s and %s say different things of cloister; write the same line " HOW,
                         paths[0], paths[1]);
    if (found[0])
        r = take_range(&ours[0], paths[0], &range, err);
    for (int i = 0; r == 0 && i < 2; i++)
        r = check_others(texts[i], paths[i], &range, err);
    if (r == 0)
        *ret = range;
    return r;
}

int cl_ids_range_read(struct cl_ids_range *ret, struct cl_error *err)
{
    char storage[2][SIZE_USUAL]; /* at each start: enough for most */
    CL_CLEANUP_BUF struct cl_buf uids = CL_BUF_INIT_IN(FILE_MAX, storage[0]);
    CL_CLEANUP_BUF struct cl_buf gids = CL_BUF_INIT_IN(FILE_MAX, storage[1]);
    int r = cl_accounts_read(paths[0], &uids, err);

    if (r == 0)
        r = cl_accounts_read(paths[1], &gids, err);
    const char *const texts[2] = {cl_buf_text(&uids), cl_buf_text(&gids)};
    return r < 0 ? r : cl_ids_range_parse(texts, ret, err);
}
