/* doctor: what of Cloister works on this host for this user, tried and not guessed. */
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/probe.h"
#include "cmd/cloister/table.h"

enum { ARENA_MAX = 1 << 20 };

/* A wall works when none of its rows is missing. */
static const struct row {
    const char *wall;
    const char *name;
    const char *layers; /* those that stand on it; "" for what is no layer */
    void (*probe)(struct cl_finding *finding);
} rows[] = {
    {"container", "kernel", "", cl_probe_kernel},
    {"container", "system calls", "", cl_probe_calls},
    {"container", "state directory", "", cl_probe_state_dir},
    {"container", "user namespaces", "userns capabilities", cl_probe_userns},
    {"container", "other namespaces", "pidns mountns netns ipcns utsns cgroupns",
     cl_probe_namespaces},
    {"container", "overlay", "readonly", cl_probe_overlay},
    {"container", "proc", "procmask", cl_probe_procfs},
    {"container", "id-mapped mounts", "", cl_probe_idmap},
    {"container", "seccomp", "seccomp no-new-privs", cl_probe_seccomp},
    {"container", "landlock", "landlock", cl_probe_landlock},
    {"container", "cgroups", "limits", cl_probe_limits},
    {"container", "uid ranges", "", cl_probe_ids},
    {"container", "apparmor", "apparmor", cl_probe_apparmor},
    {"container", "selinux", "selinux", cl_probe_selinux},
    {"container", "core dumps", "core-limit", cl_probe_core},
    {"container", "loop devices", "disk-limit", cl_probe_loop},
    {"container", "policy helper", "", cl_probe_helper},
    {"container", "image helpers", "", cl_probe_image_helpers},
    {"container", "image store", "", cl_probe_store},
    {"container", "sub-ids", "guest-users", cl_probe_subids},
    {"container", "network outbound", "network-filter", cl_probe_network},
    {"wasm", "engine", "", cl_probe_wasm},
    {"wasm", "wasmedge", "", cl_probe_wasmedge},
    {"vm", "kvm", "", cl_probe_kvm},
    {"kernel", "kernel", "", cl_probe_later},
};

static const char *const walls[] = {"container", "wasm", "vm", "kernel"};

static const struct {
    const char *word;
    const char *colour;
} states[] = {
    [CL_PROBE_WORKS] = {"works", "\033[32m"},
    [CL_PROBE_MISSING] = {"missing", "\033[31m"},
    [CL_PROBE_ABSENT] = {"absent", "\033[33m"},
    [CL_PROBE_LATER] = {"not built yet", "\033[2m"},
};
_Static_assert(CL_ARRAY_SIZE(states) == CL_PROBE_STATE_COUNT, "a word for each");

struct context {
    int format_json;
};

static const struct cl_option options[] = {
    CL_OPTION_FORMAT(struct context),
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"json", 0, "say --format json"},
    {NULL, 0, NULL},
};

/* The worst of WALL's rows. */
static enum cl_probe_state state_of_wall(const char *wall, const struct cl_finding *findings)
{
    enum cl_probe_state state = CL_PROBE_WORKS;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].wall, wall) != 0)
            continue;
        if (findings[i].state == CL_PROBE_MISSING || findings[i].state == CL_PROBE_LATER)
            state = findings[i].state;
        if (state == CL_PROBE_MISSING)
            break;
    }
    return state;
}

/* --- for programs --------------------------------------------------------- */

static void add_words(struct cl_json *json, const char *key, const char *words)
{
    char word[32];

    cl_json_array(json, key);
    while (*words != '\0') {
        size_t size = strcspn(words, " ");

        CL_ASSERT(size < sizeof(word));
        memcpy(word, words, size);
        word[size] = '\0';
        cl_json_string(json, NULL, word);
        words += size;
        words += *words == ' ';
    }
    cl_json_close(json, ']');
}

static void add_check(struct cl_json *json, const struct row *row, const struct cl_finding *finding)
{
    cl_json_object(json, NULL);
    cl_json_string(json, "wall", row->wall);
    cl_json_string(json, "name", row->name);
    add_words(json, "layers", row->layers);
    cl_json_string(json, "state", states[finding->state].word);
    cl_json_string(json, "why", finding->why);
    cl_json_string(json, "cure", finding->cure[0] == '\0' ? NULL : finding->cure);
    cl_json_close(json, '}');
}

static int write_json(const struct cl_finding *findings, struct cl_buf *buf)
{
    struct cl_json json;

    cl_json_begin(&json, buf, 1);
    cl_json_object(&json, NULL);
    cl_json_u64(&json, "uid", geteuid());
    cl_json_bool(&json, "works", state_of_wall("container", findings) == CL_PROBE_WORKS);
    cl_json_object(&json, "walls");
    for (size_t i = 0; i < CL_ARRAY_SIZE(walls); i++)
        cl_json_string(&json, walls[i], states[state_of_wall(walls[i], findings)].word);
    cl_json_close(&json, '}');
    cl_json_array(&json, "checks");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        add_check(&json, &rows[i], &findings[i]);
    cl_json_close(&json, ']');
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}

/* --- for people ----------------------------------------------------------- */

/* Each line in its state's colour. Cells hold no control bytes, so it goes on last. */
static int paint(struct cl_buf *buf, const char *text, const struct cl_finding *findings)
{
    int r = 0;

    for (size_t i = 0; r == 0 && *text != '\0'; i++) {
        size_t size = strcspn(text, "\n");

        CL_ASSERT(i < CL_ARRAY_SIZE(rows));
        r = cl_buf_printf(buf, "%s%.*s\033[0m\n", states[findings[i].state].colour, (int)size,
                          text);
        text += size;
        text += *text == '\n';
    }
    return r;
}

static int add_row(struct cl_table *table, const struct row *row, const struct cl_finding *finding)
{
    const char *const cells[] = {row->wall, row->name, states[finding->state].word, finding->why};

    return cl_table_add(table, cells);
}

static int add_cures(const struct cl_finding *findings, struct cl_buf *buf)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(rows); i++) {
        if (findings[i].cure[0] != '\0')
            r = cl_buf_printf(buf, "\n%s: %s\n", rows[i].name, findings[i].cure);
    }
    if (r == 0)
        r = cl_buf_add_str(buf, state_of_wall("container", findings) == CL_PROBE_WORKS
                                    ? "\nThe container wall works for this user.\n"
                                    : "\nThe container wall does not work for this user as it is; "
                                      "see above.\n");
    return r;
}

static int write_table(const struct cl_finding *findings, struct cl_arena *arena,
                       struct cl_buf *buf)
{
    CL_CLEANUP_BUF struct cl_buf plain = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct cl_table table = {.arena = arena, .columns = 4};
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(rows); i++)
        r = add_row(&table, &rows[i], &findings[i]);
    if (r == 0)
        r = cl_table_write(&table, &plain);
    if (r == 0)
        r = cl_wants_colour(STDOUT_FILENO) ? paint(buf, cl_buf_text(&plain), findings)
                                           : cl_buf_add(buf, plain.data, plain.size);
    return r < 0 ? r : add_cures(findings, buf);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct cl_finding *findings = cl_arena_array(&arena, CL_ARRAY_SIZE(rows), sizeof(*findings));
    struct context context = {0};
    int r = cl_command_parse_all(self, argc, argv, &context, err);

    if (r < 0)
        return r;
    if (findings == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        rows[i].probe(&findings[i]);
    r = context.format_json ? write_json(findings, &buf) : write_table(findings, &arena, &buf);
    if (r < 0)
        return cl_fail_memory(err);
    r = cl_print(&buf, err);
    return r < 0 ? r : state_of_wall("container", findings) != CL_PROBE_WORKS;
}

const struct cl_command cl_command_doctor = {
    .name = "doctor",
    .usage = "[OPTIONS]",
    .help = "Say what works on this host, and what to do about the rest",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
};
