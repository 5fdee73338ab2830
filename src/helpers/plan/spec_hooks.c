/* Programs that run at points of a container's life: config.md, "POSIX-platform Hooks". */
#include <errno.h>

#include "helpers/plan/spec_parts.h"

enum { MAX_HOOKS = 1024 };

struct hook_doc {
    const char *path;
    struct cl_strlist args;
    struct cl_strlist env;
    struct cl_decode_number timeout;
};

struct cl_spec_hooks_doc {
    struct cl_decode_list kinds[CL_HOOK_COUNT]; /* struct hook_doc */
};

#define THIS hook_doc
static const struct cl_decode_field hook_fields[] = {
    CL_DECODE_FIELD("path", TEXT, path, .max = CL_SPEC_MAX_PATH, .check = cl_spec_check_absolute,
                    .needed = 1),
    CL_DECODE_ROW("args", TEXTS, args, UINT64_MAX),
    CL_DECODE_ROW("env", TEXTS, env, UINT64_MAX),
    CL_DECODE_FIELD("timeout", NUMBER, timeout, .min = 1, .max = UINT32_MAX),
};
static const struct cl_decode_shape hook_shape = CL_DECODE_SHAPE(hook_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_spec_hooks_doc
#define KIND(name, id) CL_DECODE_ROW_OF(name, LIST, kinds[CL_HOOK_##id], MAX_HOOKS, &hook_shape)
static const struct cl_decode_field hooks_fields[] = {
    KIND("prestart", PRESTART),
    KIND("createRuntime", CREATE_RUNTIME),
    KIND("createContainer", CREATE_CONTAINER),
    KIND("startContainer", START_CONTAINER),
    KIND("poststart", POSTSTART),
    KIND("poststop", POSTSTOP),
};
_Static_assert(CL_ARRAY_SIZE(hooks_fields) == CL_HOOK_COUNT, "each kind has a row");
const struct cl_decode_shape cl_spec_hooks_shape = CL_DECODE_SHAPE(hooks_fields, CL_DECODE_OPEN);
#undef THIS

/* The hooks as they are filled, and the words of all of them. */
struct filling {
    struct cl_spec_hook *hooks;
    size_t hook_count;
    const char **words;
    size_t word_count;
};

/* A program's first word is there even where the bundle has none: its path. */
static size_t count_args(const struct hook_doc *doc)
{
    return doc->args.count > 0 ? doc->args.count : 1;
}

static struct filling measure(const struct cl_spec_hooks_doc *doc)
{
    struct filling total = {0};

    for (size_t kind = 0; kind < CL_HOOK_COUNT; kind++) {
        const struct hook_doc *docs = doc->kinds[kind].items;

        total.hook_count += doc->kinds[kind].count;
        for (size_t i = 0; i < doc->kinds[kind].count; i++)
            total.word_count += count_args(&docs[i]) + docs[i].env.count;
    }
    return total;
}

static void add_words(struct filling *filling, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        filling->words[filling->word_count++] = words[i];
}

static void add_hook(struct filling *filling, uint32_t kind, const struct hook_doc *doc)
{
    struct cl_spec_hook *hook = &filling->hooks[filling->hook_count++];

    *hook = (struct cl_spec_hook){
        .kind = kind,
        .timeout_s = (uint32_t)doc->timeout.value,
        .path = doc->path,
        .args = {&filling->words[filling->word_count], count_args(doc)},
    };
    add_words(filling, doc->args.count > 0 ? doc->args.items : &doc->path, count_args(doc));
    hook->env = (struct cl_strlist){&filling->words[filling->word_count], doc->env.count};
    add_words(filling, doc->env.items, doc->env.count);
}

int cl_spec_take_hooks(struct cl_spec_walk *walk, const struct cl_spec_hooks_doc *doc,
                       struct cl_error *err)
{
    const struct filling total = measure(doc);
    struct filling filling = {
        .hooks = cl_arena_array(walk->arena, total.hook_count, sizeof(*filling.hooks)),
        .words = cl_arena_array(walk->arena, total.word_count, sizeof(*filling.words)),
    };

    if (filling.hooks == NULL || filling.words == NULL)
        return cl_fail_memory(err);
    if (total.hook_count > MAX_HOOKS)
        return cl_refuse(err, E2BIG, "hooks: more than %d in all", MAX_HOOKS);
    for (uint32_t kind = 0; kind < CL_HOOK_COUNT; kind++) {
        for (size_t i = 0; i < doc->kinds[kind].count; i++)
            add_hook(&filling, kind, (const struct hook_doc *)doc->kinds[kind].items + i);
    }
    if (filling.hook_count == 0)
        return 0;
    walk->spec.hooks = (struct cl_spec_hooks){filling.hooks, filling.hook_count};
    walk->spec.hook_words = (struct cl_strlist){filling.words, filling.word_count};
    cl_spec_mark(&walk->spec, CL_SPEC_HOOKS);
    cl_spec_mark(&walk->spec, CL_SPEC_HOOK_WORDS);
    return 0;
}
