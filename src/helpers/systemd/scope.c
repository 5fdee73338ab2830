#include "helpers/systemd/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "helpers/systemd/variant.h"

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"

/* What a job that we wait for came to. */
struct job {
    char path[128]; /* "": not begun */
    char result[32];
    int has_ended;
};

static int on_job_removed(sd_bus_message *message, void *context, sd_bus_error *error)
{
    struct job *job = context;
    const char *path;
    const char *result;
    uint32_t number;

    (void)error;
    if (sd_bus_message_read(message, "uoss", &number, &path, NULL, &result) < 0)
        return 0; /* no signal of that interface */
    if (strcmp(path, job->path) != 0)
        return 0;
    job->has_ended = 1;
    (void)snprintf(job->result, sizeof(job->result), "%s", result);
    return 0;
}

static int fail_bus(int r, const sd_bus_error *error, const char *what, struct cl_error *err)
{
    if (sd_bus_error_is_set(error))
        return cl_refuse(err, -r, "%s: systemd says: %s", what,
                         error->message == NULL ? error->name : error->message);
    return cl_fail(err, r, "%s", what);
}

int cl_manager_open(enum cl_manager manager, sd_bus **ret, struct cl_error *err)
{
    const char *name;
    int r = manager == CL_MANAGER_USER ? sd_bus_open_user(ret) : sd_bus_open_system(ret);

    if (r == -ENOMEDIUM)
        return cl_refuse(err, ENOMEDIUM,
                         "this user has no systemd: XDG_RUNTIME_DIR is not set; log in, or have "
                         "`loginctl enable-linger` done for this user");
    if (r >= 0)
        r = sd_bus_get_unique_name(*ret, &name); /* waits until the bus has let us in */
    if (r < 0)
        return cl_fail(err, r, "speak to the bus of %s",
                       manager == CL_MANAGER_USER ? "this user's systemd" : "systemd");
    return 0;
}

/* --- properties ------------------------------------------------------------------- */

static int append_item(sd_bus_message *call, char type, const struct cl_variant_item *item)
{
    /* what sd_bus_message_append_basic takes is the type's own size */
    const int boolean = item->number != 0;
    const uint8_t byte = (uint8_t)item->number;
    const uint16_t half = (uint16_t)item->number;
    const uint32_t word = (uint32_t)item->number;

    switch (type) {
    case 's':
    case 'o':
        return sd_bus_message_append_basic(call, type, item->text);
    case 'b':
        return sd_bus_message_append_basic(call, type, &boolean);
    case 'y':
        return sd_bus_message_append_basic(call, type, &byte);
    case 'n':
    case 'q':
        return sd_bus_message_append_basic(call, type, &half);
    case 'i':
    case 'u':
        return sd_bus_message_append_basic(call, type, &word);
    default:
        return sd_bus_message_append_basic(call, type, &item->number);
    }
}

static int append_value(sd_bus_message *call, const struct cl_variant *variant)
{
    const char item[] = {variant->type, '\0'};
    const char signature[] = {'a', variant->type, '\0'};
    const char *whole = variant->is_array ? signature : item;
    int r = sd_bus_message_open_container(call, 'v', whole);

    if (r >= 0 && variant->is_array)
        r = sd_bus_message_open_container(call, 'a', item);
    for (size_t i = 0; r >= 0 && i < variant->count; i++)
        r = append_item(call, variant->type, &variant->items[i]);
    if (r >= 0 && variant->is_array)
        r = sd_bus_message_close_container(call);
    return r < 0 ? r : sd_bus_message_close_container(call);
}

static int is_property_name(const char *name)
{
    const size_t size =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

    return size > 0 && name[size] == '\0';
}

static int append_property(sd_bus_message *call, const struct cl_property *property,
                           struct cl_error *err)
{
    static struct cl_variant variant; /* large; a helper makes one call */
    char shown[80];

    (void)snprintf(shown, sizeof(shown), "%s", property->text); /* the text is written over */
    if (!is_property_name(property->name))
        return cl_refuse(err, EINVAL, "org.systemd.property.%.80s: no unit has such a property",
                         property->name);
    if (cl_variant_parse(property->text, &variant) < 0 ||
        cl_variant_of_seconds(property->name, &variant) < 0)
        return cl_refuse(err, EINVAL,
                         "org.systemd.property.%.80s: %s is no value, as \"uint64 5\", \"'text'\", "
                         "\"true\" or \"['a', 'b']\" are",
                         property->name, shown);
    int r = sd_bus_message_open_container(call, 'r', "sv");
    if (r >= 0)
        r = sd_bus_message_append_basic(call, 's', property->name);
    if (r >= 0)
        r = append_value(call, &variant);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    return r < 0 ? cl_fail(err, r, "property %.80s", property->name) : 0;
}

/* Of every scope of ours. Its own limits are not to be in the way of the sandbox's. */
static int append_own(sd_bus_message *call, const struct cl_scope *scope)
{
    int r = sd_bus_message_append(call, "(sv)", "Description", "s", scope->description);

    if (r >= 0 && scope->slice != NULL)
        r = sd_bus_message_append(call, "(sv)(sv)", "Slice", "s", scope->slice,
                                  "DefaultDependencies", "b", 0);
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "PIDs", "au", 1, scope->pid);
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "Delegate", "b", 1);
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "TasksMax", "t", UINT64_MAX);
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "CollectMode", "s", "inactive-or-failed");
    return r;
}

/* All of them; the later of two of a name counts. */
static int append_properties(sd_bus_message *call, const struct cl_scope *scope, int with_own,
                             struct cl_error *err)
{
    int r = sd_bus_message_open_container(call, 'a', "(sv)");

    if (r >= 0 && with_own)
        r = append_own(call, scope);
    if (r < 0)
        return cl_fail(err, r, "%s: write its properties", scope->unit);
    for (size_t i = 0; i < scope->property_count; i++) {
        r = append_property(call, &scope->properties[i], err);
        if (r < 0)
            return r;
    }
    r = sd_bus_message_close_container(call);
    return r < 0 ? cl_fail(err, r, "%s: write its properties", scope->unit) : 0;
}

/* --- calls ------------------------------------------------------------------------ */

static int new_call(sd_bus *bus, const char *method, sd_bus_message **ret)
{
    return sd_bus_message_new_method_call(bus, ret, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
                                          method);
}

static void drop_message(sd_bus_message **message)
{
    sd_bus_message_unref(*message);
}

/* Puts the job's path into JOB. */
static int call_start(sd_bus *bus, const struct cl_scope *scope, struct job *job,
                      struct cl_error *err)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    CL_CLEANUP(drop_message) sd_bus_message *call = NULL;
    CL_CLEANUP(drop_message) sd_bus_message *reply = NULL;
    const char *path = NULL;
    int r = new_call(bus, "StartTransientUnit", &call);

    if (r >= 0)
        r = sd_bus_message_append(call, "ss", scope->unit, "fail"); /* who conflicts, or is there */
    if (r < 0)
        return cl_fail(err, r, "%s", scope->unit);
    r = append_properties(call, scope, 1, err);
    if (r < 0)
        return r;
    r = sd_bus_message_append(call, "a(sa(sv))", 0);
    if (r >= 0)
        r = sd_bus_call(bus, call, 0, &error, &reply);
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &path);
    if (r >= 0 && strlen(path) >= sizeof(job->path))
        r = -EBADMSG;
    if (r >= 0)
        memcpy(job->path, path, strlen(path) + 1);
    r = r < 0 ? fail_bus(r, &error, scope->unit, err) : 0;
    sd_bus_error_free(&error);
    return r;
}

static int wait_for(sd_bus *bus, const struct job *job)
{
    int r = 0;

    while (r >= 0 && !job->has_ended) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX); /* who started us bounds our time */
    }
    return r < 0 ? r : 0;
}

int cl_scope_set(sd_bus *bus, struct cl_scope *scope, struct cl_error *err)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    CL_CLEANUP(drop_message) sd_bus_message *call = NULL;
    int r = new_call(bus, "SetUnitProperties", &call);

    if (r >= 0)
        r = sd_bus_message_append(call, "sb", scope->unit, 1); /* until it ends */
    if (r < 0)
        return cl_fail(err, r, "%s", scope->unit);
    r = append_properties(call, scope, 0, err);
    if (r < 0)
        return r;
    r = sd_bus_call(bus, call, 0, &error, NULL);
    r = r < 0 ? fail_bus(r, &error, scope->unit, err) : 0;
    sd_bus_error_free(&error);
    return r;
}

int cl_scope_start(sd_bus *bus, struct cl_scope *scope, struct cl_error *err)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    struct job job = {.path = ""};
    /* first, so that a job that ends at once is not missed */
    int r = sd_bus_match_signal(bus, NULL, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved",
                                on_job_removed, &job);

    if (r >= 0)
        r = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe", &error,
                               NULL, "");
    r = r < 0 ? fail_bus(r, &error, "listen to systemd", err) : 0;
    sd_bus_error_free(&error);
    if (r == 0)
        r = call_start(bus, scope, &job, err);
    if (r < 0)
        return r;
    r = wait_for(bus, &job);
    if (r < 0)
        return cl_fail(err, r, "%s: wait for systemd", scope->unit);
    if (strcmp(job.result, "done") != 0)
        return cl_refuse(err, EIO, "%s: systemd's job ended as \"%s\"", scope->unit, job.result);
    return 0;
}
