/* fuzz_auth_header.c - any bytes after "WWW-Authenticate:" are challenges, or an error that
 * leaves the list as it was; what is read is text without control characters. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "helpers/fetch/auth_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (text == NULL)
        return;
    CL_ASSERT(strlen(text) <= CL_AUTH_HEADER_MAX);
    for (; *text != '\0'; text++)
        CL_ASSERT(*text == '\t' || ((unsigned char)*text >= ' ' && *text != 0x7f));
}

static void check_list(const struct cl_challenges *list, size_t from)
{
    const struct cl_challenge *chosen = cl_challenges_choose(list);

    CL_ASSERT(list->count <= CL_MAX_CHALLENGES);
    for (size_t i = from; i < list->count; i++) {
        const struct cl_challenge *item = &list->items[i];

        CL_ASSERT(item->name != NULL && item->name[0] != '\0');
        check_text(item->name);
        check_text(item->realm);
        check_text(item->service);
        check_text(item->error);
    }
    CL_ASSERT(chosen == NULL || chosen->scheme == CL_SCHEME_BASIC || chosen->realm != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    static struct cl_challenges list;

    list.count = 0;
    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    /* twice, as of two headers */
    for (int i = 0; i < 2; i++) {
        const size_t before = list.count;
        const int r = cl_auth_header_parse(cl_buf_text(&text), &arena, &list);

        CL_ASSERT(r == 0 || r == -EBADMSG || r == -E2BIG);
        CL_ASSERT(r == 0 ? list.count >= before : list.count == before);
        check_list(&list, before);
    }
    return 0;
}
