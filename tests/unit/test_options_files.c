/* test_options_files.c - -v, --mount and --tmpfs: one entry of the plan, or one line. */
#include "options_scene.h"

/* What one -v, --mount or --tmpfs gives; needle NULL: it works. */
struct file_row {
    const char *line;
    const char *needle;
    enum cl_file_kind kind;
    enum cl_file_mode mode;
    const char *source;
    const char *target;
    uint64_t size_bytes;
    uint32_t permissions;
};

static void expect_file(const struct file_row *row)
{
    struct scene s;
    char line[512];

    (void)snprintf(line, sizeof(line), "%s|host|true", row->line);
    int r = parse(&s, line);
    if (row->needle != NULL) {
        CHECK(r < 0);
        CHECK_HAS(s.err.msg, row->needle);
    } else {
        CHECK(r == 0 && s.request.flags.files.count == 1);
        const struct cl_plan_file *file = &s.request.flags.files.items[0];
        CHECK(r == 0 && file->kind == row->kind && file->mode == row->mode);
        CHECK(r == 0 && file->size_bytes == row->size_bytes);
        CHECK(r == 0 && file->permissions == row->permissions);
        CHECK_TEXT(file->source, row->source);
        CHECK_TEXT(file->target, row->target);
    }
    if (check_failures > 0)
        printf("# in %s: %s\n", row->line, s.err.msg);
    scene_done(&s);
}

TEST(files_have_three_spellings)
{
    static const struct file_row rows[] = {
        {"-v|/a:/b", NULL, CL_FILE_BIND, CL_FILE_RO, "/a", "/b", 0, 0},
        {"-v|./a:/b:rw", NULL, CL_FILE_BIND, CL_FILE_RW, "./a", "/b", 0, 0},
        {"-v|.:/b:copy", NULL, CL_FILE_BIND, CL_FILE_COPY, ".", "/b", 0, 0},
        {"-v|a/b:/b:ro", NULL, CL_FILE_BIND, CL_FILE_RO, "a/b", "/b", 0, 0},
        {"--mount|type=bind,src=/a,dst=/b", NULL, CL_FILE_BIND, CL_FILE_RO, "/a", "/b", 0, 0},
        {"--mount|type=bind,source=/a:x,target=/b,mode=rw", NULL, CL_FILE_BIND, CL_FILE_RW, "/a:x",
         "/b", 0, 0},
        {"--mount|type=bind,\"source=/a,\"\"b\",destination=/b,readonly", NULL, CL_FILE_BIND,
         CL_FILE_RO, "/a,\"b", "/b", 0, 0},
        {"--mount|type=bind,source=/a,target=/b,readonly=false", NULL, CL_FILE_BIND, CL_FILE_RW,
         "/a", "/b", 0, 0},
        {"--mount|type=tmpfs,target=/b,tmpfs-size=64m,tmpfs-mode=0700", NULL, CL_FILE_TMPFS,
         CL_FILE_RW, "", "/b", 64 << 20, 0700},
        {"--tmpfs|/b", NULL, CL_FILE_TMPFS, CL_FILE_RW, "", "/b", 0, 0},
        {"--tmpfs|/b:size=1m,mode=1777,nosuid", NULL, CL_FILE_TMPFS, CL_FILE_RW, "", "/b", 1 << 20,
         01777},
        {"-v|data:/b", "write ./data", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a", "expected SRC:DST", 0, 0, NULL, NULL, 0, 0},
        {"-v|:/b", "host path is empty", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:", "in the sandbox is empty", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:b", "expected an absolute path", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b:", "expected the mode", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b:rw,", "expected the mode ro, rw or copy, got \"\"", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b:ro,rw", "two modes", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b:noexec", "expected the mode", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b:ro:x", "too many colons", 0, 0, NULL, NULL, 0, 0},
        {"--mount|source=/a,target=/b", "no type", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=volume,target=/b", "no named volumes", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,target=/b", "needs a source", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,source=/a", "no target", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,source=/a,target=/b,ro,mode=rw", "two modes", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,source=/a,target=/b,size=1m", "a tmpfs's", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=tmpfs,source=/a,target=/b", "has no source", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,\"source=/a", "not closed", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,\"source=/a\"x", "expected a comma", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,bind-recursion=enabled", "unknown key \"bind-recursion\"", 0, 0, NULL,
         NULL, 0, 0},
        {"--mount|", "no type", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,source=/a,target=/b,target=/c", "target: said twice", 0, 0, NULL, NULL,
         0, 0},
        {"--mount|type=bind,src=/a,source=/c,target=/b", "source: said twice", 0, 0, NULL, NULL, 0,
         0},
        {"--mount|type=bind,type=bind,src=/a,dst=/b", "type: said twice", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,src=/a,dst=/b,ro,readonly", "readonly: said twice", 0, 0, NULL, NULL, 0,
         0},
        {"--tmpfs|/b:size=1m,size=2m", "size: said twice", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:mode=700,mode=700", "mode: said twice", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:rw,nosuid,rw", "rw: said twice", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/proc/b", "/proc belongs to the sandbox", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b/../c", "\"..\" in the path", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|b", "expected an absolute path", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:size=0", "not between", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:mode=4777", "permissions", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:exec=1", "takes no value", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:noatime", "unknown key \"noatime\"", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:size", "needs a value", 0, 0, NULL, NULL, 0, 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        expect_file(&rows[i]);
}

/* What Docker takes and holds here in any case changes nothing; the rest says why not. */
TEST(dockers_words_for_mounts_hold_or_are_refused)
{
    static const struct file_row rows[] = {
        {"-v|/a:/b:cached", NULL, CL_FILE_BIND, CL_FILE_RO, "/a", "/b", 0, 0},
        {"-v|/a:/b:delegated,rw", NULL, CL_FILE_BIND, CL_FILE_RW, "/a", "/b", 0, 0},
        {"-v|/a:/b:copy,rprivate,consistent", NULL, CL_FILE_BIND, CL_FILE_COPY, "/a", "/b", 0, 0},
        {"-v|/a:/b:z", "--volume: z: labels of SELinux stay as they are", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b:ro,Z",
         "Z: labels of SELinux stay as they are and are the caller's to set: chcon", 0, 0, NULL,
         NULL, 0, 0},
        {"-v|/a:/b:rshared", "rshared: what is mounted on the host later doesn't come in", 0, 0,
         NULL, NULL, 0, 0},
        {"-v|/a:/b:rw,slave", "slave: what is mounted", 0, 0, NULL, NULL, 0, 0},
        {"-v|/a:/b:nocopy", "nocopy: there are no named volumes", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,src=/a,dst=/b,consistency=cached,bind-propagation=rprivate", NULL,
         CL_FILE_BIND, CL_FILE_RO, "/a", "/b", 0, 0},
        {"--mount|type=bind,src=/a,dst=/b,bind-recursive=enabled", NULL, CL_FILE_BIND, CL_FILE_RO,
         "/a", "/b", 0, 0},
        {"--mount|type=bind,src=/a,dst=/b,consistency=much", "expected default, consistent", 0, 0,
         NULL, NULL, 0, 0},
        {"--mount|type=bind,src=/a,dst=/b,bind-propagation=shared",
         "--mount: bind-propagation: what is mounted on the host later", 0, 0, NULL, NULL, 0, 0},
        {"--mount|type=bind,src=/a,dst=/b,bind-recursive=disabled", "only enabled holds", 0, 0,
         NULL, NULL, 0, 0},
        {"--mount|type=bind,bind-nonrecursive", "bind-nonrecursive: what is mounted below", 0, 0,
         NULL, NULL, 0, 0},
        {"--mount|type=bind,volume-opt=x", "volume-opt: there are no named volumes", 0, 0, NULL,
         NULL, 0, 0},
        {"--tmpfs|/b:rw,exec,nosuid,nodev,size=65536k", NULL, CL_FILE_TMPFS, CL_FILE_RW, "", "/b",
         64 << 20, 0},
        {"--tmpfs|/run:rw,noexec,nosuid,size=65536k",
         "--tmpfs: noexec: what is written there can be executed, always; leave it out", 0, 0, NULL,
         NULL, 0, 0},
        {"--tmpfs|/b:ro", "ro: a tmpfs is always writable", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:suid", "suid: set-id bits mean nothing", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:dev", "dev: devices mean nothing", 0, 0, NULL, NULL, 0, 0},
        {"--tmpfs|/b:uid=1000", "uid: whose it is can't be chosen; see mode", 0, 0, NULL, NULL, 0,
         0},
        {"--tmpfs|/b:nr_inodes=9", "nr_inodes: the number of files follows", 0, 0, NULL, NULL, 0,
         0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        expect_file(&rows[i]);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(files_have_three_spellings),
        ROW(dockers_words_for_mounts_hold_or_are_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
