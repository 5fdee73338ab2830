/* The parsers' verbs: read all, in a jail without files, and answer with a record. What they
 * differ in is a row each. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "helpers/common/jail.h"
#include "helpers/common/process.h"
#include "helpers/image/archive.h"
#include "helpers/image/auth.h"
#include "helpers/image/auth_edit.h"
#include "helpers/image/config.h"
#include "helpers/image/manifest.h"
#include "helpers/image/saved.h"
#include "helpers/image/verbs.h"

enum { ARENA_CAP = 64 << 20, MAX_ARGUMENT = 4095, FDS = 3, MORE_FD = 3 };

struct job {
    char *const *args;
    struct cl_document document; /* empty for an archive, which is read where it is */
    struct cl_arena *arena;
};

/* The argument at INDEX, if there is one. */
static const char *argument(const struct job *job, int index)
{
    for (int i = 0; i < index; i++) {
        if (job->args[i] == NULL)
            return NULL;
    }
    const char *text = job->args[index];
    return text == NULL || strcmp(text, "-") == 0 ? NULL : text;
}

static int make_manifest(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    const struct cl_manifest_request request = {.platform = job->args[1],
                                                .media_type = argument(job, 2)};
    struct cl_manifest_record record = {.set = 0};
    int r = cl_manifest_parse(&job->document, &request, job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_manifest_shape, &record, output, err);
}

static int make_config(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    struct cl_config_record record = {.set = 0};
    int r = cl_config_parse(&job->document, argument(job, 1), job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_config_shape, &record, output, err);
}

static int make_archive(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    struct cl_archive_record record = {.set = 0};
    int r = cl_archive_list(STDIN_FILENO, job->args[0], job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_archive_shape, &record, output, err);
}

static int make_saved(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    struct cl_saved_record record = {.set = 0};
    int r = cl_saved_choose(&job->document, argument(job, 1), job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_saved_shape, &record, output, err);
}

static int make_oci_index(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    const struct cl_manifest_request request = {.platform = job->args[1], .tag = argument(job, 2)};
    struct cl_manifest_record record = {.set = 0};
    int r = cl_layout_parse(&job->document, &request, job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_manifest_shape, &record, output, err);
}

static int make_auth(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    struct cl_auth_record record = {.set = 0};
    int r = cl_auth_find(&job->document, job->args[1], job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_auth_shape, &record, output, err);
}

static int make_credential(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    struct cl_auth_record record = {.set = 0};
    int r = cl_auth_take_answer(&job->document, job->arena, &record, err);

    return r < 0 ? r : cl_flat_write(&cl_auth_shape, &record, output, err);
}

/* The new credentials come as a record on a descriptor of their own. */
static int make_auth_edit(const struct job *job, struct cl_buf *output, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    struct cl_auth_record record = {.set = 0};
    int r = cl_read_all(MORE_FD, "the credentials", &bytes, err);
    const struct cl_bytes flat = {cl_buf_text(&bytes), bytes.size};

    if (r == 0)
        r = cl_flat_read(&cl_auth_shape, &flat, job->arena, &record, err);
    return r < 0 ? r : cl_auth_edit(&job->document, job->args[1], &record, output, err);
}

static int check_arguments(char *const args[], struct cl_error *err)
{
    for (int i = 0; args[i] != NULL; i++) {
        if (args[i][0] == '\0' || strlen(args[i]) > MAX_ARGUMENT)
            return cl_refuse(err, EINVAL, "an argument is empty or too long");
    }
    return 0;
}

/* --- the table ---------------------------------------------------------------------- */

static const struct row {
    const char *name;
    int (*make)(const struct job *job, struct cl_buf *output, struct cl_error *err);
    unsigned int fds; /* that stay open */
    int reads_file;   /* by itself: descriptor 0 is no document */
} rows[] = {
    {"manifest", make_manifest, FDS, 0},     {"config", make_config, FDS, 0},
    {"archive", make_archive, FDS, 1},       {"saved", make_saved, FDS, 0},
    {"oci-index", make_oci_index, FDS, 0},   {"auth", make_auth, FDS, 0},
    {"credential", make_credential, FDS, 0}, {"auth-edit", make_auth_edit, MORE_FD + 1, 0},
};

static const struct row *find_row(const char *name)
{
    size_t i = 0;

    while (i < CL_ARRAY_SIZE(rows) && strcmp(rows[i].name, name) != 0)
        i++;
    CL_ASSERT(i < CL_ARRAY_SIZE(rows)); /* main.c has no other for us */
    return &rows[i];
}

static int read_and_make(const struct row *row, char *const args[], struct cl_buf *output,
                         struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(CL_MAX_MANIFEST_BYTES);
    int r = row->reads_file ? 0 : cl_read_all(STDIN_FILENO, args[0], &input, err);

    if (r < 0)
        return r;
    const struct job job = {args, {args[0], cl_buf_text(&input), input.size}, &arena};
    return row->make(&job, output, err);
}

int cl_verb_parse(const struct cl_verb *verb, char *const args[], struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    const struct row *row = find_row(verb->name);
    struct cl_jail jail = {.keep_fds = row->fds};
    int r = check_arguments(args, err);

    if (r == 0)
        r = cl_process_begin(row->fds, err);
    if (r < 0)
        return r;
    r = cl_jail_enter(&jail, err);
    if (r < 0)
        return cl_prefix(err, "cloister-image's jail");
    r = read_and_make(row, args, &output, err);
    if (r < 0)
        return r;
    r = cl_write_all(STDOUT_FILENO, output.data, output.size);
    return r < 0 ? cl_fail(err, r, "write the record") : 0;
}
