/* Which image, and what it says about the command. */
#include <errno.h>
#include <string.h>

#include "plan/decide_parts.h"

static const char rootfs[] = "rootfs:";
static const char modules[] = ".wasm";

static int begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int ends(const char *text, const char *with)
{
    const size_t size = strlen(text);
    const size_t tail = strlen(with);

    return size > tail && strcmp(text + size - tail, with) == 0;
}

int cl_image_is_module(const char *image)
{
    return ends(image, modules) && !cl_image_is_local(image) && !begins(image, rootfs);
}

int cl_decide_runs_module(const struct cl_plan *plan)
{
    return cl_plan_has_module(plan) ||
           (cl_plan_has_tree(plan) && ends(plan->command.items[0], modules));
}

int cl_image_is_local(const char *image)
{
    static const char *const transports[] = {"oci:", "oci-archive:", "docker-archive:"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(transports); i++) {
        if (begins(image, transports[i]))
            return 1;
    }
    return 0;
}

/* Other tools' transports, and TRANSPORT:/PATH, which is no name on any registry. */
static int refuse_transport(const char *image, struct cl_error *err)
{
    static const struct {
        const char *prefix;
        const char *cure;
    } others[] = {
        {"docker-daemon:", "; save it: docker save -o FILE NAME, then docker-archive:FILE"},
        {"containers-storage:", "; save it: podman save -o FILE NAME, then docker-archive:FILE"},
        {"dir:", "; a root file system in a directory is rootfs:DIR"},
        {"tarball:", "; see cloister import"},
        {"ostree:", ""},
        {"sif:", ""},
    };
    const char *colon = strchr(image, ':');
    const char *cure = NULL;

    for (size_t i = 0; i < CL_ARRAY_SIZE(others) && cure == NULL; i++)
        cure = begins(image, others[i].prefix) ? others[i].cure : NULL;
    if (cure == NULL && colon != NULL && colon[1] == '/' && colon[2] != '/' && image[0] != '[')
        cure = "";
    if (cure == NULL)
        return 0;
    return cl_refuse(err, EINVAL,
                     "\"%.150s\": there is no transport %.*s; those there are: oci:DIR[:TAG], "
                     "oci-archive:FILE, docker-archive:FILE%s",
                     image, (int)cl_min_u64((uint64_t)(colon - image), 64), image, cure);
}

/* Refuses what RUN takes for another thing than a name, or would but for a slip. */
static int refuse_kind(const char *image, struct cl_error *err)
{
    if (cl_image_is_module(image))
        return cl_refuse(err, EINVAL,
                         "\"%.200s\" is a WebAssembly module's name, which is a file: it is "
                         "neither pulled nor kept; an image that is called so has its tag behind "
                         "it, as in %.200s:latest",
                         image, image);
    if (begins(image, "host:"))
        return cl_refuse(
            err, EINVAL,
            "\"%.200s\" is no image: host, without a tag, is the view of this machine; "
            "an image that is called so has its registry before it, as in "
            "docker.io/library/host:latest",
            image);
    if (strcasecmp(image, "host") == 0)
        return cl_refuse(err, EINVAL, "\"%.200s\" is no image; did you mean host?", image);
    if (strcmp(image, "rootfs") == 0 || begins(image, "rootfs="))
        return cl_refuse(err, EINVAL, "\"%.200s\" is no image; did you mean rootfs:DIR?", image);
    if (ends(image, ".tar") || ends(image, ".tgz"))
        return cl_refuse(err, EINVAL,
                         "\"%.150s\" is no image; write docker-archive:%.150s or "
                         "oci-archive:%.150s for what was saved, or see cloister import",
                         image, image, image);
    return refuse_transport(image, err);
}

/* Refuses what isn't the name of an image, for what it is or may have been meant to be; 0 when
 * it may be one. */
static int refuse_other(const char *image, struct cl_error *err)
{
    if (cl_image_is_local(image))
        return 0;
    int r = refuse_kind(image, err);
    if (r < 0)
        return r;
    if (image[0] == '/' || image[0] == '.')
        return cl_refuse(err, EINVAL, "\"%.200s\" is no image; for a directory write rootfs:%.200s",
                         image, image);
    return 0;
}

int cl_image_is_name(const char *image)
{
    struct cl_error unused;

    return strcmp(image, "host") != 0 && !begins(image, rootfs) &&
           refuse_other(image, &unused) == 0;
}

int cl_image_check_name(const char *name, struct cl_error *err)
{
    if (strcmp(name, "host") == 0)
        return cl_refuse(err, EINVAL,
                         "\"host\" is no image's name: cloister run shows this machine by it; with "
                         "its registry before it, as in docker.io/library/host, it is one");
    if (begins(name, rootfs))
        return cl_refuse(err, EINVAL,
                         "\"%.200s\" is no image's name: cloister run takes the directory as it is",
                         name);
    if (cl_image_is_local(name))
        return cl_refuse(err, EINVAL,
                         "\"%.200s\" is where an image lies on this host, and no name for one",
                         name);
    return refuse_kind(name, err);
}

static int decide_rootfs(struct cl_decision *d, struct cl_error *err)
{
    const char *path = d->plan->image + sizeof(rootfs) - 1;

    if (path[0] == '\0')
        return cl_refuse(err, EINVAL, "rootfs: needs a directory, as in rootfs:./tree");
    if (path[0] == '/' && path[strspn(path, "/")] == '\0')
        return cl_refuse(err, EINVAL, "the host's own root directory is no image; use host");
    return cl_plan_set_text(d->plan, CL_FIELD_IMAGE_PATH, path, d->how->arena, err);
}

int cl_decide_image(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    if (!cl_plan_has(plan, CL_FIELD_IMAGE))
        return cl_refuse(err, EINVAL, "none given; use a name like debian:12, host or rootfs:DIR");
    if (cl_plan_has(plan, CL_FIELD_IMAGE_KIND)) { /* it was looked up, by who knows names */
        CL_ASSERT((plan->image_kind == CL_IMAGE_STORE && plan->image_layers.count > 0) ||
                  cl_plan_is_module(plan));
        return 0;
    }
    cl_plan_mark(plan, CL_FIELD_IMAGE_KIND);
    if (begins(plan->image, rootfs)) {
        plan->image_kind = CL_IMAGE_ROOTFS;
        return decide_rootfs(d, err);
    }
    plan->image_kind = CL_IMAGE_HOST;
    if (strcmp(plan->image, "host") == 0)
        return 0;
    int r = refuse_other(plan->image, err);
    return r < 0 ? r
                 : cl_refuse(err, ENOENT, "\"%.200s\" isn't here; cloister pull %.200s",
                             plan->image, plan->image);
}

/* A working directory that an image names counts from its root. */
int cl_decide_stored(struct cl_decide *how, struct cl_plan *part, struct cl_error *err)
{
    if (!cl_plan_has(part, CL_FIELD_IMAGE_KIND) || !cl_plan_has(part, CL_FIELD_WORKDIR) ||
        part->workdir[0] == '/')
        return 0;
    part->workdir = cl_arena_printf(how->arena, "/%s", part->workdir);
    return part->workdir == NULL ? cl_fail_memory(err) : 0;
}

/* --- the command ------------------------------------------------------------------------- */

/* The entrypoint and what follows it as one. */
static int join(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    const struct cl_strlist first = plan->entrypoint;
    const size_t count = first.count + plan->command.count;
    const char **items = cl_arena_array(d->how->arena, count + 1, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        items[i] = i < first.count ? first.items[i] : plan->command.items[i - first.count];
    plan->command = (struct cl_strlist){items, count};
    cl_plan_mark(plan, CL_FIELD_COMMAND);
    plan->entrypoint = (struct cl_strlist){0};
    cl_plan_unmark(plan, CL_FIELD_ENTRYPOINT);
    return 0;
}

int cl_decide_command(struct cl_decision *d, struct cl_error *err)
{
    const struct cl_strlist *command = &d->plan->command;
    int r = cl_plan_has(d->plan, CL_FIELD_ENTRYPOINT) ? join(d, err) : 0;

    if (r < 0)
        return r;
    if (command->count == 0)
        return cl_refuse(err, EINVAL, "no command: the image has no default; say one after --");
    return command->items[0][0] == '\0' ? cl_refuse(err, EINVAL, "command: its name is empty") : 0;
}
