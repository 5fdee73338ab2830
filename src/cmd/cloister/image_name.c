#include "cmd/cloister/image_name.h"

#include <errno.h>
#include <string.h>

enum { SHOWN_DIGITS = 12 };

/* Where the tag's colon of a familiar or whole name is, or NULL. */
static const char *find_tag(const char *text)
{
    const size_t size = strcspn(text, "@");
    const char *colon = NULL;

    for (const char *p = text; p < text + size; p++) {
        if (*p == '/')
            colon = NULL; /* it was a port's */
        else if (*p == ':')
            colon = p;
    }
    return colon;
}

int cl_image_name_has_tag(const char *text)
{
    return find_tag(text) != NULL;
}

const char *cl_image_name_familiar(const char *whole, const char *fallback, struct cl_arena *arena)
{
    struct cl_reference reference;
    struct cl_error ignored;
    int r = cl_reference_parse(whole, NULL, arena, &reference, &ignored);

    if (r == -ENOMEM)
        return NULL;
    return r < 0 ? whole : cl_reference_familiar(&reference, fallback, arena);
}

int cl_image_name_split(const char *whole, const char *fallback, struct cl_arena *arena,
                        struct cl_image_name_parts *ret)
{
    const char *familiar = cl_image_name_familiar(whole, fallback, arena);

    if (familiar == NULL)
        return -ENOMEM;
    const char *colon = find_tag(familiar);
    const char *digest = strstr(familiar, "@sha256:");
    const size_t size = colon != NULL ? (size_t)(colon - familiar) : strcspn(familiar, "@");
    struct cl_image_name_parts parts = {
        .repository = cl_arena_strndup(arena, familiar, size),
        .tag = colon == NULL ? NULL : colon + 1,
    };
    if (digest != NULL) {
        const size_t tag_size = parts.tag == NULL ? 0 : (size_t)(digest - parts.tag);

        parts.tag =
            cl_arena_printf(arena, "%.*s@%.*s", (int)tag_size, parts.tag == NULL ? "" : parts.tag,
                            SHOWN_DIGITS, digest + strlen("@sha256:"));
    }
    if (parts.repository == NULL || (digest != NULL && parts.tag == NULL))
        return -ENOMEM;
    *ret = parts;
    return 0;
}
