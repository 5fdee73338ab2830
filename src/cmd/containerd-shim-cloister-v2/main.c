/* containerd-shim-cloister-v2: containerd's io.containerd.cloister.v2. Its arguments are those that
 * containerd gives every shim (containerd, docs: core/runtime/v2/README.md).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"

enum { SOCKET = 3 };

/* With a value, or a flag. */
struct row {
    const char *name;
    size_t offset;
    int is_flag;
};

static const struct row rows[] = {
    {"namespace", offsetof(struct cl_shim_options, space), 0},
    {"address", offsetof(struct cl_shim_options, address), 0},
    {"publish-binary", offsetof(struct cl_shim_options, publish), 0},
    {"id", offsetof(struct cl_shim_options, id), 0},
    {"bundle", offsetof(struct cl_shim_options, bundle), 0},
    {"socket", 0, 0}, /* of other shims, which ours has no use for */
    {"debug", offsetof(struct cl_shim_options, debug), 1},
};

static const char *const help =
    "usage: containerd-shim-cloister-v2 -namespace NAME -address SOCKET -id ID\n"
    "           [-publish-binary FILE] [-bundle DIR] [-debug] start|delete\n"
    "       containerd-shim-cloister-v2 -v | -info\n\n"
    "containerd runs it, for the runtime io.containerd.cloister.v2.\n";

static const struct row *find_row(const char *name, size_t size)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (strlen(rows[i].name) == size && strncmp(rows[i].name, name, size) == 0)
            return &rows[i];
    }
    return NULL;
}

/* "-name value", "-name=value", "--name ..." as Go's programs take them. How many words it was. */
static int take_option(char *const argv[], struct cl_shim_options *options, struct cl_error *err)
{
    const char *name = argv[0] + (strncmp(argv[0], "--", 2) == 0 ? 2 : 1);
    const size_t size = strcspn(name, "=");
    const struct row *row = find_row(name, size);
    void *member = (char *)options + (row == NULL ? 0 : row->offset);

    if (row == NULL)
        return cl_refuse(err, EINVAL, "unknown option \"%.100s\"", argv[0]);
    if (row->is_flag) {
        *(int *)member = name[size] == '\0' || strcmp(name + size, "=true") == 0;
        return 1;
    }
    const char *value = name[size] == '=' ? name + size + 1 : argv[1];
    if (value == NULL)
        return cl_refuse(err, EINVAL, "-%s needs a value", row->name);
    if (strcmp(row->name, "socket") != 0)
        *(const char **)member = value;
    return name[size] == '=' ? 1 : 2;
}

static int check_options(const struct cl_shim_options *options, struct cl_error *err)
{
    if (options->space == NULL)
        return cl_refuse(err, EINVAL, "-namespace: which of containerd's namespaces?");
    int r = cl_containerd_check_id(options->space, "-namespace", err);
    if (r < 0)
        return r;
    if (options->id == NULL)
        return cl_refuse(err, EINVAL, "-id: which container?");
    return cl_containerd_check_id(options->id, "-id", err);
}

static int dispatch(const char *action, const struct cl_shim_options *options, char *const argv[],
                    struct cl_error *err)
{
    int r = check_options(options, err);

    if (r < 0)
        return r;
    if (strcmp(action, "start") == 0)
        return cl_shim_start(options, argv, err);
    if (strcmp(action, "delete") == 0)
        return cl_shim_delete(options, err);
    if (strcmp(action, "serve") == 0)
        return cl_shim_serve(options, SOCKET, err);
    return cl_refuse(err, EINVAL, "unknown action \"%.100s\": start or delete", action);
}

static int run(char *const argv[], struct cl_error *err)
{
    struct cl_shim_options options = {.words = argv};
    char *const *at = argv + 1;

    while (*at != NULL && (*at)[0] == '-') {
        const char *word = *at + (strncmp(*at, "--", 2) == 0 ? 2 : 1);

        if (strcmp(word, "h") == 0 || strcmp(word, "help") == 0)
            return printf("%s", help) < 0 ? -EIO : 0;
        if (strcmp(word, "v") == 0 || strcmp(word, "version") == 0)
            return printf("containerd-shim-cloister-v2 version " CL_VERSION "\n") < 0 ? -EIO : 0;
        if (strcmp(word, "info") == 0)
            return cl_shim_info(err);
        int r = take_option(at, &options, err);
        if (r < 0)
            return r;
        at += r;
    }
    if (*at == NULL)
        return cl_refuse(err, EINVAL, "start or delete? See -help; containerd runs this, not you");
    return dispatch(*at, &options, argv, err);
}

int main(CL_UNUSED int argc, char *argv[])
{
    struct cl_error err = {0};
    int r = cl_fd_guard_standard(&err);

    if (r == 0)
        r = run(argv, &err);
    if (r < 0)
        (void)fprintf(stderr, "containerd-shim-cloister-v2: %s\n", err.msg); /* nowhere else */
    return r < 0;
}
