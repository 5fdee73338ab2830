#include "helpers/plan/yaml_reader.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "helpers/common/report.h"

static void drop_event(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define CL_CLEANUP_EVENT CL_CLEANUP(drop_event)

const char *cl_yaml_kind_name(enum cl_yaml_kind kind)
{
    static const char *const names[] = {"text", "a list", "a map", "the end"};

    return names[kind];
}

int cl_yaml_locate(const struct cl_yaml *yaml, const yaml_mark_t *mark, const char *path,
                   struct cl_error *err)
{
    const char *within = yaml->within;
    const int has_path = path[0] != '\0';

    return cl_prefix(err, "%s:%zu:%zu%s%.60s%s%.120s", cl_report_name(yaml->document.name),
                     mark->line + 1, mark->column + 1, has_path || within[0] != '\0' ? ": " : "",
                     within, has_path && within[0] != '\0' ? "." : "", path);
}

/* Where the byte at OFFSET stands; columns count characters, as libyaml's do. */
static yaml_mark_t mark_of(const struct cl_yaml *yaml, size_t offset)
{
    yaml_mark_t mark = {.index = offset};

    for (size_t i = 0; i < offset && i < yaml->document.size; i++) {
        if (yaml->document.text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if (((unsigned char)yaml->document.text[i] & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

/* libyaml checks UTF-8 too, but without a place and only as far as it reads. */
static int check_bytes(const struct cl_yaml *yaml, struct cl_error *err)
{
    size_t at = 0;

    while (at < yaml->document.size) {
        size_t size = cl_utf8_sequence((const unsigned char *)yaml->document.text + at);

        if (size == 0)
            break;
        at += size;
    }
    if (at == yaml->document.size)
        return 0;
    unsigned char byte = (unsigned char)yaml->document.text[at];
    yaml_mark_t mark = mark_of(yaml, at);
    if (byte == 0)
        (void)cl_refuse(err, EINVAL, "a NUL byte");
    else
        (void)cl_refuse(err, EINVAL, "byte 0x%02x is not UTF-8", byte);
    return cl_yaml_locate(yaml, &mark, "", err);
}

int cl_yaml_init(struct cl_yaml *ret, const struct cl_document *document, const char *what,
                 struct cl_arena *arena, struct cl_error *err)
{
    *ret = (struct cl_yaml){.document = *document,
                            .what = what,
                            .within = "",
                            .least = "{} is one that changes nothing",
                            .arena = arena};
    int r = check_bytes(ret, err);

    if (r < 0)
        return r;
    if (!yaml_parser_initialize(&ret->parser))
        return cl_fail_memory(err);
    yaml_parser_set_encoding(&ret->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&ret->parser, (const unsigned char *)document->text,
                                 document->size);
    return 0;
}

void cl_yaml_done(struct cl_yaml *yaml)
{
    yaml_parser_delete(&yaml->parser);
}

void cl_yaml_node_done(struct cl_yaml_node *node)
{
    yaml_event_delete(&node->event);
}

static int report_parser(const struct cl_yaml *yaml, struct cl_error *err)
{
    const yaml_parser_t *parser = &yaml->parser;
    const char *problem = parser->problem == NULL ? "not YAML" : parser->problem;
    yaml_mark_t mark = parser->problem_mark;

    if (parser->error == YAML_MEMORY_ERROR)
        return cl_fail_memory(err);
    if (parser->error == YAML_READER_ERROR)
        mark = mark_of(yaml, parser->problem_offset);
    if (parser->context != NULL)
        (void)cl_refuse(err, EINVAL, "%s, %s", parser->context, problem);
    else
        (void)cl_refuse(err, EINVAL, "%s", problem);
    /* The index counts characters: right where all before is ASCII, else a hint is missed. */
    if (mark.index < yaml->document.size && yaml->document.text[mark.index] == '\t')
        (void)cl_hint(err, "a tab can't indent, blanks can");
    return cl_yaml_locate(yaml, &mark, "", err);
}

static int next_event(struct cl_yaml *yaml, yaml_event_t *ret, struct cl_error *err)
{
    return yaml_parser_parse(&yaml->parser, ret) ? 0 : report_parser(yaml, err);
}

static int refuse_feature(const struct cl_yaml *yaml, const yaml_event_t *event,
                          const char *feature, struct cl_error *err)
{
    (void)cl_refuse(err, EINVAL, "%s not allowed in a %s", feature, yaml->what);
    return cl_yaml_locate(yaml, &event->start_mark, "", err);
}

static int take_text(const struct cl_yaml *yaml, struct cl_yaml_node *node, struct cl_error *err)
{
    const yaml_event_t *event = &node->event;

    if (event->data.scalar.anchor != NULL)
        return refuse_feature(yaml, event, "anchors are", err);
    if (event->data.scalar.tag != NULL)
        return refuse_feature(yaml, event, "tags are", err);
    node->kind = CL_YAML_TEXT;
    node->text = (const char *)event->data.scalar.value;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (strlen(node->text) != event->data.scalar.length)
        return refuse_feature(yaml, event, "NUL characters are", err);
    return 0;
}

static int open_nested(struct cl_yaml *yaml, struct cl_yaml_node *node, struct cl_error *err)
{
    const yaml_event_t *event = &node->event;
    int is_list = event->type == YAML_SEQUENCE_START_EVENT;
    const void *anchor =
        is_list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    const void *tag = is_list ? event->data.sequence_start.tag : event->data.mapping_start.tag;

    if (anchor != NULL)
        return refuse_feature(yaml, event, "anchors are", err);
    if (tag != NULL)
        return refuse_feature(yaml, event, "tags are", err);
    if (++yaml->depth > CL_YAML_MAX_DEPTH)
        return refuse_feature(yaml, event, "more than 8 levels of nesting are", err);
    node->kind = is_list ? CL_YAML_LIST : CL_YAML_MAP;
    return 0;
}

static int fill_node(struct cl_yaml *yaml, struct cl_yaml_node *node, struct cl_error *err)
{
    node->mark = node->event.start_mark;
    switch ((int)node->event.type) {
    case YAML_SCALAR_EVENT:
        return take_text(yaml, node, err);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return open_nested(yaml, node, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        yaml->depth--;
        node->kind = CL_YAML_END;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse_feature(yaml, &node->event, "aliases are", err);
    default:
        return refuse_feature(yaml, &node->event, "this is", err);
    }
}

int cl_yaml_next(struct cl_yaml *yaml, struct cl_yaml_node *ret, struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node node = {.kind = CL_YAML_END};
    int r = next_event(yaml, &node.event, err);

    if (r == 0)
        r = fill_node(yaml, &node, err);
    if (r < 0)
        return r;
    cl_yaml_node_done(ret);
    *ret = node;
    node = (struct cl_yaml_node){.kind = CL_YAML_END}; /* the event is RET's now */
    return 0;
}

int cl_yaml_first(struct cl_yaml *yaml, struct cl_yaml_node *ret, struct cl_error *err)
{
    CL_CLEANUP_EVENT yaml_event_t stream = {.type = YAML_NO_EVENT};
    CL_CLEANUP_EVENT yaml_event_t document = {.type = YAML_NO_EVENT};
    int r = next_event(yaml, &stream, err);

    if (r == 0)
        r = next_event(yaml, &document, err);
    if (r < 0)
        return r;
    if (document.type != YAML_DOCUMENT_START_EVENT) {
        (void)cl_refuse(err, EINVAL, "the %s is empty; %s", yaml->what, yaml->least);
        return cl_prefix(err, "%s", cl_report_name(yaml->document.name));
    }
    if (document.data.document_start.tag_directives.start !=
        document.data.document_start.tag_directives.end)
        return refuse_feature(yaml, &document, "tags are", err);
    return cl_yaml_next(yaml, ret, err);
}

int cl_yaml_finish(struct cl_yaml *yaml, struct cl_error *err)
{
    CL_CLEANUP_EVENT yaml_event_t end = {.type = YAML_NO_EVENT};
    CL_CLEANUP_EVENT yaml_event_t more = {.type = YAML_NO_EVENT};
    int r = next_event(yaml, &end, err);

    if (r == 0)
        r = next_event(yaml, &more, err);
    if (r < 0)
        return r;
    CL_ASSERT(end.type == YAML_DOCUMENT_END_EVENT);
    if (more.type != YAML_STREAM_END_EVENT)
        return refuse_feature(yaml, &more, "a second document is", err);
    return 0;
}
