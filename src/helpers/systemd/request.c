#include "helpers/systemd/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

enum { ID_MAX = 32 };

static int take_manager(const char *word, struct cl_request *ret)
{
    ret->manager = strcmp(word, "user") == 0 ? CL_MANAGER_USER : CL_MANAGER_SYSTEM;
    return ret->manager == CL_MANAGER_SYSTEM && strcmp(word, "system") != 0 ? -EINVAL : 0;
}

static int take_pid(const char *word, struct cl_request *ret)
{
    uint64_t pid;

    if (cl_parse_u64(word, &pid) < 0 || pid == 0 || pid > INT32_MAX)
        return -EINVAL;
    ret->scope.pid = (uint32_t)pid;
    return 0;
}

static int take_id(const char *id, struct cl_request *ret)
{
    const size_t size = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789");

    if (size == 0 || size > ID_MAX || id[size] != '\0')
        return -EINVAL;
    (void)snprintf(ret->unit, sizeof(ret->unit), "cloister-%s.scope", id);
    ret->scope.unit = ret->unit;
    ret->scope.description = "A sandbox of cloister";
    return 0;
}

int cl_request_take(int argc, char *const argv[], struct cl_request *ret)
{
    int r = -EINVAL;

    ret->scope = (struct cl_scope){.property_count = 0};
    if (argc == 5 && strcmp(argv[1], "scope") == 0) {
        ret->verb = CL_VERB_SCOPE;
        r = take_id(argv[2], ret);
        if (r == 0)
            r = take_manager(argv[3], ret);
        return r < 0 ? r : take_pid(argv[4], ret);
    }
    if (argc == 4 && strcmp(argv[1], "unit") == 0) {
        ret->verb = CL_VERB_UNIT;
        r = take_manager(argv[2], ret);
        return r < 0 ? r : take_pid(argv[3], ret);
    }
    if (argc == 3 && strcmp(argv[1], "set") == 0) {
        ret->verb = CL_VERB_SET;
        return take_manager(argv[2], ret);
    }
    return -EINVAL;
}

/* The next of the input's texts, or NULL. */
static char *next_text(const struct cl_buf *input, size_t *at)
{
    char *text = input->data + *at;

    if (*at >= input->size)
        return NULL;
    *at += strlen(text) + 1;
    return text;
}

static int take_property(struct cl_request *request, const struct cl_buf *input, size_t *at,
                         struct cl_error *err)
{
    const char *name = next_text(input, at);
    char *text = next_text(input, at);
    struct cl_scope *scope = &request->scope;
    const size_t index = scope->property_count;

    if (text == NULL)
        return cl_refuse(err, EBADMSG, "the input ends before a property's value");
    if (index == CL_SCOPE_PROPERTIES)
        return cl_refuse(err, E2BIG, "%s: more than %d properties", scope->unit,
                         CL_SCOPE_PROPERTIES);
    if (strlen(name) + 2 > sizeof(request->names[0]))
        return cl_refuse(err, EINVAL, "org.systemd.property.%.80s...: no unit has such a property",
                         name);
    memcpy(request->names[index], name, strlen(name) + 1);
    scope->properties[scope->property_count++] = (struct cl_property){request->names[index], text};
    return 0;
}

int cl_request_read(const struct cl_buf *input, struct cl_request *request, struct cl_error *err)
{
    size_t at = 0;
    int r = 0;

    if (input->size == 0 || input->data[input->size - 1] != '\0')
        return cl_refuse(err, EBADMSG, "the input doesn't end with NUL");
    request->scope.unit = next_text(input, &at);
    request->scope.description = "A container of cloister-oci";
    if (request->verb == CL_VERB_UNIT) {
        request->scope.slice = next_text(input, &at);
        if (request->scope.slice == NULL)
            return cl_refuse(err, EBADMSG, "the input has no slice");
    }
    while (r == 0 && at < input->size)
        r = take_property(request, input, &at, err);
    return r;
}
