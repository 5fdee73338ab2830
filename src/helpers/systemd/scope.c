#include "helpers/systemd/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* Of the unit. Its own limits are not to be in the way of the sandbox's. */
static int add_properties(sd_bus_message *call, const struct cl_scope *scope)
{
    int r = sd_bus_message_open_container(call, 'a', "(sv)");

    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "Description", "s", "A sandbox of cloister");
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "PIDs", "au", 1, scope->pid);
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "Delegate", "b", 1);
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "TasksMax", "t", UINT64_MAX);
    if (r >= 0)
        r = sd_bus_message_append(call, "(sv)", "CollectMode", "s", "inactive-or-failed");
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    return r;
}

/* Puts the job's path into JOB. */
static int call_start(sd_bus *bus, const struct cl_scope *scope, struct job *job,
                      struct cl_error *err)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *call = NULL;
    sd_bus_message *reply = NULL;
    const char *path = NULL;
    int r = sd_bus_message_new_method_call(bus, &call, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
                                           "StartTransientUnit");

    if (r >= 0)
        r = sd_bus_message_append(call, "ss", scope->unit, "fail"); /* who conflicts, or is there */
    if (r >= 0)
        r = add_properties(call, scope);
    if (r >= 0)
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
    sd_bus_message_unref(call);
    sd_bus_message_unref(reply);
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

int cl_scope_start(sd_bus *bus, const struct cl_scope *scope, struct cl_error *err)
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
