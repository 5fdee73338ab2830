#include "image/parse.h"

#include <string.h>

#include "base/clock.h"

enum { SECONDS = 10 };

int cl_parser_init(struct cl_arena *arena, struct cl_parser *ret, struct cl_error *err)
{
    ret->arena = arena;
    return cl_helper_find(NULL, "cloister-image", &ret->helper, err);
}

static int run(const struct cl_parser *parser, const struct cl_helper_call *call,
               const struct cl_parse_into *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(ret->shape->max_size);
    int r = cl_helper_run(&parser->helper, call, &output, err);

    if (r < 0)
        return r;
    const char *copy = cl_arena_strndup(parser->arena, cl_buf_text(&output), output.size);
    if (copy == NULL)
        return cl_fail_memory(err);
    const struct cl_bytes bytes = {copy, output.size};
    return cl_flat_read(ret->shape, &bytes, parser->arena, ret->record, err);
}

static struct cl_helper_call call_of(const char *const args[CL_HELPER_MAX_ARGS])
{
    struct cl_helper_call call = {.subject = args[1], .timeout_ns = SECONDS * CL_NS_PER_S};

    memcpy(call.args, args, sizeof(call.args));
    return call;
}

int cl_parse(const struct cl_parser *parser, const char *const args[CL_HELPER_MAX_ARGS],
             const struct cl_buf *document, const struct cl_parse_into *ret, struct cl_error *err)
{
    struct cl_helper_call call = call_of(args);

    call.inputs[0] = document;
    return run(parser, &call, ret, err);
}

int cl_parse_file(const struct cl_parser *parser, const char *const args[CL_HELPER_MAX_ARGS],
                  int file, const struct cl_parse_into *ret, struct cl_error *err)
{
    struct cl_helper_call call = call_of(args);

    call.file = file;
    return run(parser, &call, ret, err);
}
