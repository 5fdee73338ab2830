#include "helpers/image/unpack_name.h"

#include <errno.h>
#include <string.h>

/* OCI image specification, "Whiteouts"; what begins as FOREIGN is left of aufs. */
#define WHITEOUT ".wh."
#define FOREIGN ".wh..wh."
#define OPAQUE ".wh..wh..opq"

static int refuse(const struct cl_tar_text *text, const char *why, struct cl_error *err)
{
    char shown[CL_QUOTE_SIZE];

    return cl_refuse(err, EINVAL, "\"%s\" can't be a name in a layer: %s",
                     cl_tar_quote(text, shown), why);
}

static int begins(const char *part, size_t size, const char *with)
{
    return size >= strlen(with) && memcmp(part, with, strlen(with)) == 0;
}

/* Puts the parts of TEXT into NAME->path, with one slash between them. The last one's place is
 * NAME->base. */
static const char *gather(const struct cl_tar_text *text, struct cl_name *name)
{
    const char *at = text->data;
    const char *end = at + text->size;
    size_t used = 0;

    name->base = name->path;
    for (int depth = 0; at < end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash == NULL ? end : slash;
        const size_t size = (size_t)(stop - at);

        const char *part = at;

        at = slash == NULL ? end : slash + 1;
        if (size == 0 || (size == 1 && *part == '.'))
            continue;
        if (size == 2 && part[0] == '.' && part[1] == '.')
            return "\"..\" is refused";
        if (size > CL_NAME_MAX_PART)
            return "255 bytes are the most between two slashes";
        if (++depth > CL_NAME_MAX_DEPTH)
            return "it is more than 1024 deep";
        if (used + (used > 0) + size > CL_NAME_MAX_PATH)
            return "4095 bytes are the most";
        if (used > 0)
            name->path[used++] = '/';
        name->base = name->path + used;
        memcpy(name->path + used, part, size);
        used += size;
    }
    name->path[used] = '\0';
    return NULL;
}

/* Looks for ".wh." in the parts of NAME but the last. */
static const char *check_parents(const char *path, const char *base, int *ret_foreign)
{
    while (path < base) {
        const char *slash = strchr(path, '/');
        const size_t size = (size_t)(slash - path);

        *ret_foreign |= begins(path, size, FOREIGN);
        if (!begins(path, size, FOREIGN) && begins(path, size, WHITEOUT))
            return "what begins with .wh. is no directory";
        path = slash + 1;
    }
    return NULL;
}

static const char *classify(struct cl_name *name)
{
    const char *base = name->base;
    int foreign = 0;
    const char *wrong = check_parents(name->path, base, &foreign);

    if (wrong != NULL)
        return wrong;
    name->kind = CL_NAME_PLAIN;
    if (foreign || (begins(base, strlen(base), FOREIGN) && strcmp(base, OPAQUE) != 0)) {
        name->kind = CL_NAME_FOREIGN;
    } else if (strcmp(base, OPAQUE) == 0) {
        name->kind = CL_NAME_OPAQUE;
    } else if (begins(base, strlen(base), WHITEOUT)) {
        name->kind = CL_NAME_WHITEOUT;
        name->base += strlen(WHITEOUT);
        if (*name->base == '\0' || strcmp(name->base, ".") == 0 || strcmp(name->base, "..") == 0)
            return "it would hide nothing";
    } else if (*base == '\0') {
        name->kind = CL_NAME_ROOT;
    }
    return NULL;
}

/* Ends the parent where the base begins. */
static void split(struct cl_name *name, const char *base)
{
    const size_t before = (size_t)(base - name->path);

    name->parent = (struct cl_tar_text){"", 0};
    if (before > 0) {
        name->path[before - 1] = '\0';
        name->parent = (struct cl_tar_text){name->path, before - 1};
    }
}

int cl_name_read(const struct cl_tar_text *text, struct cl_name *ret, struct cl_error *err)
{
    const char *wrong = NULL;

    if (text->size == 0)
        wrong = "it is empty";
    else if (memchr(text->data, '\0', text->size) != NULL)
        wrong = "there is a NUL byte in it";
    if (wrong == NULL)
        wrong = gather(text, ret);
    const char *base = ret->base;
    if (wrong == NULL)
        wrong = classify(ret);
    if (wrong != NULL)
        return refuse(text, wrong, err);
    split(ret, base);
    return 0;
}
