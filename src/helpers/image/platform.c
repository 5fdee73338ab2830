#include "helpers/image/platform.h"

#include <errno.h>
#include <string.h>

#include "oci/quote.h"

static int is_word(const char *text, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

    for (size_t i = 0; i < size; i++) {
        if (strchr(letters, text[i]) == NULL || text[i] == '\0')
            return 0;
    }
    return size > 0 && size <= 32;
}

int cl_platform_parse(const char *text, struct cl_arena *arena, struct cl_platform *ret,
                      struct cl_error *err)
{
    const char *words[3] = {NULL};
    const char *next = text;
    char quoted[CL_QUOTE_SIZE];
    size_t count = 0;

    for (; next != NULL && count < CL_ARRAY_SIZE(words); count++) {
        size_t size = strcspn(next, "/");

        if (!is_word(next, size))
            break;
        words[count] = cl_arena_strndup(arena, next, size);
        if (words[count] == NULL)
            return cl_fail_memory(err);
        next = next[size] == '/' ? next + size + 1 : NULL;
    }
    if (next != NULL || count < 2)
        return cl_refuse(err, EINVAL, "expected a platform like linux/amd64, got \"%s\"",
                         cl_quote(text, quoted));
    *ret = (struct cl_platform){.os = words[0], .architecture = words[1], .variant = words[2]};
    return 0;
}

/* As uname(2) has it, or as images do. */
static const char *architecture_of(const char *name)
{
    if (strcmp(name, "aarch64") == 0)
        return "arm64";
    return strcmp(name, "x86_64") == 0 ? "amd64" : name;
}

static const char *variant_of(const struct cl_platform *platform)
{
    static const char *const usual[][2] = {{"amd64", "v1"}, {"arm64", "v8"}, {"arm", "v7"}};
    const char *variant = platform->variant;

    for (size_t i = 0; i < CL_ARRAY_SIZE(usual); i++) {
        if (strcmp(architecture_of(platform->architecture), usual[i][0]) != 0)
            continue;
        if (variant == NULL || variant[0] == '\0' || strcmp(variant, usual[i][1] + 1) == 0)
            return usual[i][1]; /* "8" was written too */
    }
    return variant == NULL ? "" : variant;
}

int cl_platform_matches(const struct cl_platform *wanted, const struct cl_platform *offered)
{
    return offered->os != NULL && offered->architecture != NULL &&
           strcmp(wanted->os, offered->os) == 0 &&
           strcmp(architecture_of(wanted->architecture), architecture_of(offered->architecture)) ==
               0 &&
           strcmp(variant_of(wanted), variant_of(offered)) == 0;
}

const char *cl_platform_text(const struct cl_platform *platform, struct cl_arena *arena)
{
    const char *variant = platform->variant == NULL ? "" : platform->variant;

    return cl_arena_printf(arena, "%s/%s%s%s", platform->os == NULL ? "?" : platform->os,
                           platform->architecture == NULL ? "?" : platform->architecture,
                           variant[0] == '\0' ? "" : "/", variant);
}
