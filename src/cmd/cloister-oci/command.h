/* command.h - what a command of `cloister-oci` is: a row of main's table.
 *
 * The words are those that engines say to an OCI runtime: global options, a command, its options,
 * an id. A command returns its exit status, or -errno with a message that main writes once, to the
 * log that --log names and to standard error.
 */
#ifndef CL_CMD_CLOISTER_OCI_COMMAND_H
#define CL_CMD_CLOISTER_OCI_COMMAND_H

#include "base/options.h"
#include "limits/resctrl.h"
#include "runtime/container.h"
#include "walls/bundle.h"

enum { CL_OCI_FAILED = 1, CL_OCI_SHOWN = -100000, CL_OCI_HELP_MOST = 64 << 10 };

/* The global options, and what main made of them. */
struct cl_oci {
    const char *root_path;
    const char *log_path;
    const char *log_format;
    const char *manager_name;
    const char *rootless;
    const char *parent; /* --parent: a process's number */
    int debug;
    int systemd;
    int version;
    enum cl_group_manager manager;
    int root;          /* of all containers: cl_oci_root opens it; -1 */
    int log;           /* -1: none */
    char *const *argv; /* the whole command line */
};

struct cl_oci_command {
    const char *name;
    const char *usage;
    const char *help;
    int (*run)(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err);
    const struct cl_option *options;
    size_t option_count;
    int takes_words; /* a command follows, whose options aren't ours */
};

extern const struct cl_oci_command cl_oci_create;
extern const struct cl_oci_command cl_oci_start;
extern const struct cl_oci_command cl_oci_run;
extern const struct cl_oci_command cl_oci_state;
extern const struct cl_oci_command cl_oci_list;
extern const struct cl_oci_command cl_oci_kill;
extern const struct cl_oci_command cl_oci_delete;
extern const struct cl_oci_command cl_oci_exec;
extern const struct cl_oci_command cl_oci_pause;
extern const struct cl_oci_command cl_oci_resume;
extern const struct cl_oci_command cl_oci_ps;
extern const struct cl_oci_command cl_oci_update;
extern const struct cl_oci_command cl_oci_events;
extern const struct cl_oci_command cl_oci_spec;
extern const struct cl_oci_command cl_oci_features;

/* --- arguments ------------------------------------------------------------------------------ */

/* Setters; the option's tag is the offset of a const char *, an int or an unsigned int in the
 * context. */
int cl_oci_set_text(void *context, const struct cl_option *option, const char *value,
                    struct cl_error *err);
int cl_oci_set_flag(void *context, const struct cl_option *option, const char *value,
                    struct cl_error *err);
int cl_oci_set_count(void *context, const struct cl_option *option, const char *value,
                     struct cl_error *err);
int cl_oci_set_help(void *context, const struct cl_option *option, const char *value,
                    struct cl_error *err);
#define CL_OCI_TEXT(type, name, letter, value, help, member)                                       \
    {                                                                                              \
        name, letter, value, help, cl_oci_set_text, (int)offsetof(struct type, member), NULL       \
    }
#define CL_OCI_FLAG(type, name, letter, help, member)                                              \
    {                                                                                              \
        name, letter, NULL, help, cl_oci_set_flag, (int)offsetof(struct type, member), NULL        \
    }
/* Which some engines write "--name=true" and "--name=false". */
#define CL_OCI_SWITCH(type, name, help, member)                                                    \
    {                                                                                              \
        name, 0, NULL, help, cl_oci_set_flag, (int)offsetof(struct type, member), "true false"     \
    }
#define CL_OCI_COUNT(type, name, help, member)                                                     \
    {                                                                                              \
        name, 0, "N", help, cl_oci_set_count, (int)offsetof(struct type, member), NULL             \
    }
#define CL_OCI_HELP                                                                                \
    {                                                                                              \
        "help", 'h', NULL, "show this help", cl_oci_set_help, 0, NULL                              \
    }

/* Parses argv[1..] into CONTEXT; the index of the first operand. */
int cl_oci_parse(const struct cl_oci_command *self, int argc, char *argv[], void *context,
                 struct cl_error *err);
/* The same where one operand follows, the container's id: its index. */
int cl_oci_parse_id(const struct cl_oci_command *self, int argc, char *argv[], void *context,
                    struct cl_error *err);

/* The runtime's root, opened by who needs it first; OCI's. */
int cl_oci_root(struct cl_oci *oci, struct cl_error *err);
/* cl_container_open below it. */
int cl_oci_find(struct cl_oci *oci, const char *id, int locked, struct cl_oci_container *ret,
                struct cl_error *err);

/* --- what several commands do -------------------------------------------------------------------
 */

/* A line of the log: LEVEL is "error", "warning" or "debug". */
void cl_oci_say(const struct cl_oci *oci, const char *level, const char *text);

/* Takes out of PROCESS, of a container of SPEC, the capabilities that nobody here can give, and
 * says so in the log: engines ask for all that they know. */
int cl_oci_trim(const struct cl_oci *oci, const struct cl_spec *spec, struct cl_spec *process,
                struct cl_error *err);

int cl_oci_print(const struct cl_buf *buf, struct cl_error *err);

/* Refuses when one of the COUNT descriptors from 3 on isn't the caller's to pass on: to be asked
 * before one of ours can be open there that isn't CLOEXEC. */
int cl_oci_check_preserved(unsigned int count, struct cl_error *err);

/* Writes PID to the file PATH (NULL: nowhere), as a whole. */
int cl_oci_write_pid(const char *path, int pid, struct cl_error *err);

/* A connection to the console socket PATH; -1 for NULL. */
int cl_oci_connect_console(const char *path, int *ret, struct cl_error *err);

/* Runs poststop hooks; what fails is told in the log. */
void cl_oci_say_stopped(const struct cl_oci *oci, const struct cl_oci_container *container);
/* Its class of linux.intelRdt, which the caller closes; without one none. -ENOTSUP where this host
 * has none. */
int cl_oci_find_class(const struct cl_oci_container *container, struct cl_resctrl *ret,
                      struct cl_error *err);
/* Runs poststop hooks and removes what there is of a container that has ended, or never was. */
int cl_oci_remove(struct cl_oci *oci, struct cl_oci_container *container, struct cl_error *err);

/* What create and run are given. */
struct cl_oci_creation {
    const char *bundle;
    const char *config;
    const char *pid_file;
    const char *console;
    const char *pod_files;
    const char *pod_process;
    unsigned int preserved;
    int no_pivot;
    int no_keyring;
    int detach;
    int keep;
    int no_subreaper;
    int console_fd; /* in place of CONSOLE, borrowed; -1 */
};
/* The options of both. */
#define CL_OCI_CREATION_ROWS                                                                       \
    CL_OCI_TEXT(cl_oci_creation, "bundle", 'b', "DIR", "the bundle (the working directory)",       \
                bundle),                                                                           \
        CL_OCI_TEXT(cl_oci_creation, "pid-file", 0, "FILE", "gets the first process's number",     \
                    pid_file),                                                                     \
        CL_OCI_TEXT(cl_oci_creation, "console-socket", 0, "PATH",                                  \
                    "gets the master of the container's terminal", console),                       \
        CL_OCI_COUNT(cl_oci_creation, "preserve-fds", "descriptors from 3 on that are passed on",  \
                     preserved),                                                                   \
        CL_OCI_FLAG(cl_oci_creation, "no-pivot", 0, "change the root by a mount: for a ramdisk's", \
                    no_pivot),                                                                     \
        CL_OCI_FLAG(cl_oci_creation, "no-new-keyring", 0, "keep the caller's session keyring",     \
                    no_keyring),                                                                   \
        CL_OCI_TEXT(cl_oci_creation, "pod-files", 0, "DIR",                                        \
                    "has a pod's hosts, hostname, resolv.conf and shm", pod_files),                \
        CL_OCI_TEXT(cl_oci_creation, "pod-process", 0, "OLD:NEW",                                  \
                    "joins the namespaces of NEW in place of OLD's", pod_process)
#define CL_OCI_CREATION_INIT ((struct cl_oci_creation){.console_fd = -1})

/* The process of a container that was just made. */
int cl_oci_make(struct cl_oci *oci, const struct cl_oci_creation *creation,
                struct cl_oci_container *container, struct cl_bundle_process *ret,
                struct cl_error *err);
/* Adds to the mounts of CONTAINER's spec what the directory PATH (NULL: nothing) has of a pod's
 * files, where the bundle has no mount of its own. */
int cl_oci_add_pod_files(const char *path, struct cl_oci_container *container,
                         struct cl_error *err);
/* TEXT, "OLD:NEW" (NULL: nothing): namespaces that CONTAINER's spec joins by OLD's number it joins
 * by NEW's. */
int cl_oci_put_pod_process(const char *text, struct cl_oci_container *container,
                           struct cl_error *err);
/* Has it begin, and runs its poststart hooks. */
int cl_oci_begin(struct cl_oci_container *container, struct cl_error *err);

/* Has a process watch over the container's time limit, where it has one (monitor.c). */
int cl_oci_watch(struct cl_oci_container *container, struct cl_error *err);

/* A terminal that we carry has the size of the caller's from the beginning, where PROCESS says
 * none. */
void cl_oci_take_size(struct cl_spec *process);

/* Signals wait from here on: before the process is born that they are for (front.c). */
int cl_oci_hold_signals(struct cl_error *err);
/* Waits for PROCESS, a child of ours, passing signals on to it, and carries what goes over its
 * terminal's MASTER (taken; -1: none): its exit status (front.c). */
int cl_oci_wait(struct cl_bundle_process *process, int master, struct cl_error *err);
/* A console socket of our own: *RET_OURS gets the master, the other end is returned. */
int cl_oci_make_console(int *ret_ours, struct cl_error *err);
int cl_oci_take_master(int ours, struct cl_error *err);

#endif
