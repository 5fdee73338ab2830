/* test_spec_mounts.c - mounts of an OCI bundle: each word of their options, and what is refused. */
#include <linux/mount.h>
#include <sys/mount.h>

#include "spec_scene.h"

enum { ATIME = 0x70, NOSYMFOLLOW = 0x200000 };

#define MOUNTS(list) SPEC_CONFIG(", 'mounts': [" list "]")

TEST(mounts_are_as_they_stand_and_in_order)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec_mount *mount;

    CHECK(spec_parse(&scene, CL_SPEC_CONFIG,
                     MOUNTS("{'destination': '/proc', 'type': 'proc', 'source': 'proc'},"
                            "{'destination': '/data/../x', 'type': 'none', 'source': 'here',"
                            " 'options': ['rbind', 'ro']},"
                            "{'destination': '/run', 'type': 'tmpfs', 'options': null}")) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.spec.mounts.count == 3 && !cl_spec_has(&scene.spec, CL_SPEC_MOUNT_MAPS));
    mount = &scene.spec.mounts.items[0];
    CHECK_TEXT(mount->target, "/proc");
    CHECK_TEXT(mount->type, "proc");
    CHECK_TEXT(mount->source, "proc");
    CHECK_TEXT(mount->options, "");
    CHECK(mount->flags == 0 && mount->set == 0 && mount->clear == 0 && mount->propagation == 0);
    mount = &scene.spec.mounts.items[1];
    CHECK_TEXT(mount->target, "/data/../x");
    CHECK_TEXT(mount->type, "");
    CHECK_TEXT(mount->source, "here");
    CHECK(mount->flags == (CL_SPEC_BIND | CL_SPEC_RECURSIVE) && mount->set == MOUNT_ATTR_RDONLY);
    mount = &scene.spec.mounts.items[2];
    CHECK_TEXT(mount->type, "tmpfs");
    CHECK_TEXT(mount->source, "");
}

/* The only mount of a bundle, of TYPE with OPTIONS. */
static const struct cl_spec_mount *one(struct spec_scene *scene, const char *type,
                                       const char *options)
{
    static const struct cl_spec_mount none = {.options = "none"};
    char text[512];

    (void)snprintf(text, sizeof(text),
                   MOUNTS("{'destination': '/m', 'type': '%s', 'source': '/s', 'options': [%s]}"),
                   type, options);
    int r = spec_parse(scene, CL_SPEC_CONFIG, text);
    CHECK_TEXT(scene->err.msg, "");
    CHECK(r == 0 && scene->spec.mounts.count == 1);
    return scene->spec.mounts.count == 1 ? scene->spec.mounts.items : &none;
}

/* Words of the mount's own; each has a twin that begins with r, of the mounts below too. */
static const struct {
    const char *word;
    uint64_t set;
    uint64_t clear;
} words[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", NOSYMFOLLOW, 0},
    {"symfollow", 0, NOSYMFOLLOW},
    {"noatime", MOUNT_ATTR_NOATIME, ATIME},
    {"atime", 0, ATIME},
    {"relatime", 0, ATIME},
    {"norelatime", 0, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, ATIME},
    {"nostrictatime", 0, ATIME},
};

TEST(each_word_has_its_bits)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(words); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char options[64];

        (void)snprintf(options, sizeof(options), "'%s'", words[i].word);
        const struct cl_spec_mount *mount = one(&scene, "tmpfs", options);
        CHECK(mount->set == words[i].set && mount->clear == words[i].clear);
        CHECK(mount->deep_set == 0 && mount->deep_clear == 0);
        CHECK_TEXT(mount->options, "");
        spec_scene_done(&scene);

        (void)snprintf(options, sizeof(options), "'r%s', 'rbind'", words[i].word);
        mount = one(&scene, "none", options);
        CHECK(mount->deep_set == words[i].set && mount->deep_clear == words[i].clear);
        CHECK(mount->set == 0 && mount->clear == 0 && scene.spec.warnings.count == 0);
    }
}

/* As the kernel comes to it: CLEAR first, then SET. */
static const struct {
    const char *options;
    uint64_t set;
    uint64_t clear;
} orders[] = {
    {"'ro', 'rw'", 0, MOUNT_ATTR_RDONLY},
    {"'rw', 'ro'", MOUNT_ATTR_RDONLY, MOUNT_ATTR_RDONLY},
    {"'noatime', 'strictatime'", MOUNT_ATTR_STRICTATIME, ATIME},
    {"'strictatime', 'noatime'", MOUNT_ATTR_NOATIME, ATIME},
    {"'strictatime', 'relatime'", 0, ATIME},
    {"'strictatime', 'atime'", MOUNT_ATTR_STRICTATIME, ATIME},
    {"'noatime', 'atime'", 0, ATIME},
    {"'noatime', 'nostrictatime'", MOUNT_ATTR_NOATIME, ATIME},
    {"'strictatime', 'nostrictatime'", 0, ATIME},
    {"'nosuid', 'noexec', 'nodev', 'exec'", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
     MOUNT_ATTR_NOEXEC},
};

TEST(the_last_word_counts)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(orders); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        const struct cl_spec_mount *mount = one(&scene, "tmpfs", orders[i].options);

        CHECK(mount->set == orders[i].set && mount->clear == orders[i].clear);
    }
}

static const struct {
    const char *word;
    uint32_t flags;
    uint32_t propagation;
} others[] = {
    {"bind", CL_SPEC_BIND, 0},
    {"rbind", CL_SPEC_BIND | CL_SPEC_RECURSIVE, 0},
    {"tmpcopyup", CL_SPEC_TMPCOPYUP, 0},
    {"private", 0, MS_PRIVATE},
    {"rprivate", 0, MS_PRIVATE | MS_REC},
    {"slave", 0, MS_SLAVE},
    {"rslave", 0, MS_SLAVE | MS_REC},
    {"shared", 0, MS_SHARED},
    {"rshared", 0, MS_SHARED | MS_REC},
    {"unbindable", 0, MS_UNBINDABLE},
    {"runbindable", 0, MS_UNBINDABLE | MS_REC},
    {"defaults", 0, 0},
    {"silent", 0, 0},
    {"loud", 0, 0},
    {"noiversion", 0, 0},
};

TEST(other_words_are_flags_and_propagation)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char options[64];

        (void)snprintf(options, sizeof(options), "'%s'", others[i].word);
        const struct cl_spec_mount *mount = one(&scene, "tmpfs", options);
        CHECK(mount->flags == others[i].flags && mount->propagation == others[i].propagation);
        CHECK(mount->set == 0 && mount->clear == 0 && scene.spec.warnings.count == 0);
        CHECK_TEXT(mount->options, "");
        CHECK_TEXT(mount->type, (others[i].flags & CL_SPEC_BIND) != 0 ? "" : "tmpfs");
    }
}

TEST(what_no_row_has_is_the_file_systems)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec_mount *mount =
        one(&scene, "tmpfs",
            "'nosuid', 'size=64k', 'mode=755', 'sync', '', 'async', 'dirsync', 'lazytime',"
            " 'nolazytime', 'mand', 'nomand', 'RO'");

    CHECK_TEXT(mount->options,
               "size=64k,mode=755,sync,async,dirsync,lazytime,nolazytime,mand,nomand,RO");
    CHECK(mount->set == MOUNT_ATTR_NOSUID && scene.spec.warnings.count == 0);
}

TEST(engines_word_for_a_bind_mount_is_taken)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec_mount *mount = one(&scene, "bind", "'rprivate'");

    CHECK(mount->flags == CL_SPEC_BIND && mount->propagation == (MS_PRIVATE | MS_REC));
    CHECK_TEXT(mount->type, "");
}

#define MAPS(n) "[{'containerID': 0, 'hostID': " n ", 'size': 1}]"

TEST(maps_of_mounts_lie_one_after_the_other)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec_mount *mounts;

    CHECK(spec_parse(
              &scene, CL_SPEC_CONFIG,
              MOUNTS("{'destination': '/a', 'source': '/s', 'options': ['bind'],"
                     " 'uidMappings': " MAPS(
                         "1") ", 'gidMappings':"
                              " [{'containerID': 0, 'hostID': 2, 'size': 4294967295},"
                              "  {'containerID': 4294967295, 'hostID': 0, 'size': 1}]},"
                              "{'destination': '/b', 'type': 'tmpfs'},"
                              "{'destination': '/c', 'source': '/s', 'options': ['bind', 'ridmap'],"
                              " 'uidMappings': " MAPS("4") ", 'gidMappings': " MAPS("5") "}")) < 0);
    CHECK_TEXT(scene.err.msg, "d: mounts[0].gidMappings[0].size: goes beyond the last id");
    spec_scene_done(&scene);
    CHECK(spec_parse(
              &scene, CL_SPEC_CONFIG,
              MOUNTS("{'destination': '/a', 'source': '/s', 'options': ['bind'],"
                     " 'uidMappings': " MAPS(
                         "1") ", 'gidMappings':"
                              " [{'containerID': 0, 'hostID': 0, 'size': 4294967295},"
                              "  {'containerID': 4294967295, 'hostID': 3, 'size': 1}]},"
                              "{'destination': '/b', 'type': 'tmpfs'},"
                              "{'destination': '/c', 'source': '/s', 'options': ['bind', 'ridmap'],"
                              " 'uidMappings': " MAPS("4") ", 'gidMappings': " MAPS("5") "}")) ==
          0);
    CHECK(scene.spec.mounts.count == 3 && scene.spec.mount_maps.count == 5);
    mounts = scene.spec.mounts.items;
    CHECK(mounts[0].uid_maps == 1 && mounts[0].gid_maps == 2);
    CHECK(mounts[0].flags == (CL_SPEC_BIND | CL_SPEC_IDMAP));
    CHECK(mounts[1].uid_maps == 0 && mounts[1].flags == 0);
    CHECK(mounts[2].flags == (CL_SPEC_BIND | CL_SPEC_IDMAP_DEEP));
    CHECK(scene.spec.mount_maps.items[0].outside == 1 &&
          scene.spec.mount_maps.items[2].outside == 3);
    CHECK(scene.spec.mount_maps.items[3].outside == 4 &&
          scene.spec.mount_maps.items[4].outside == 5);
}

TEST(an_id_mapped_mount_may_use_the_containers_maps)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(spec_parse(&scene, CL_SPEC_CONFIG,
                     SPEC_CONFIG(", 'linux': {'namespaces': [{'type': 'user'}]}, 'mounts':"
                                 " [{'destination': '/a', 'source': '/s',"
                                 " 'options': ['bind', 'ridmap', 'idmap']}]")) == 0);
    CHECK(scene.spec.mounts.items[0].flags == (CL_SPEC_BIND | CL_SPEC_IDMAP));
    CHECK(scene.spec.mounts.items[0].uid_maps == 0);
}

static const struct spec_refusal wrong[] = {
    {SPEC_CONFIG(", 'mounts': {}"), "d: mounts: expected array, got object"},
    {MOUNTS("'/proc'"), "d: mounts[0]: expected object, got string \"/proc\""},
    {MOUNTS("{'type': 'proc'}"), "d: mounts[0].destination: is missing"},
    {MOUNTS("{'destination': '', 'type': 'proc'}"), "d: mounts[0].destination: is empty"},
    {MOUNTS("{'destination': 1, 'type': 'proc'}"),
     "d: mounts[0].destination: expected string, got integer"},
    {MOUNTS("{'destination': '/a', 'type': true}"),
     "d: mounts[0].type: expected string, got boolean"},
    {MOUNTS("{'destination': '/a', 'type': 'tmpfs', 'source': 7}"),
     "d: mounts[0].source: expected string, got integer"},
    {MOUNTS("{'destination': '/a', 'type': 'tmpfs', 'options': 'ro'}"),
     "d: mounts[0].options: expected array of strings, got string \"ro\""},
    {MOUNTS("{'destination': '/a', 'type': 'proc'}, {'destination': '/a', 'source': 'x'}"),
     "d: mounts[1].type: is missing; only a mount with the option bind or rbind has none"},
    {MOUNTS("{'destination': '/a', 'type': 'none', 'source': 'x', 'options': ['remount']}"),
     "d: mounts[0].type: is missing; only a mount with the option bind or rbind has none"},
    {MOUNTS("{'destination': '/a', 'options': ['rbind']}"),
     "d: mounts[0].source: is missing; a bind mount needs one"},
    {MOUNTS("{'destination': '/a', 'type': 'bind', 'source': ''}"),
     "d: mounts[0].source: is missing; a bind mount needs one"},
    {MOUNTS("{'destination': '/a', 'type': 'bind', 'source': 's', 'uidMappings': " MAPS("1") "}"),
     "d: mounts[0]: uidMappings and gidMappings go together"},
    {MOUNTS("{'destination': '/a', 'type': 'bind', 'source': 's', 'gidMappings':"
            " [{'containerID': 0, 'size': 1}]}"),
     "d: mounts[0].gidMappings[0].hostID: is missing"},
    {MOUNTS("{'destination': '/a', 'type': 'bind', 'source': 's', 'options': ['idmap']}"),
     "d: mounts[0].options: there are no mappings for idmap, neither the mount's own nor a user"
     " namespace's"},
};

TEST(what_can_not_be_is_told_where_and_why)
{
    spec_check_refusals(CL_SPEC_CONFIG, wrong, CL_ARRAY_SIZE(wrong));
}

TEST(what_means_nothing_is_told)
{
    static const struct spec_refusal rows[] = {
        {MOUNTS("{'destination': 'a', 'type': 'proc'}"),
         "mounts[0].destination: is relative, which is deprecated"},
        {MOUNTS("{'destination': '/a', 'source': 's', 'options': ['size=1m', 'bind']}"),
         "mounts[0].options[0]: \"size=1m\" means nothing to a bind mount; passed over"},
        {MOUNTS("{'destination': '/a', 'source': 's', 'options': ['bind', 'sync']}"),
         "mounts[0].options[1]: \"sync\" means nothing to a bind mount; passed over"},
        {MOUNTS("{'destination': '/a', 'source': 's', 'options': ['bind', 'remount', 'ro']}"),
         "mounts[0].options[1]: remount can't be had; passed over"},
        {MOUNTS("{'destination': '/a', 'type': 'ext4', 'options': ['iversion']}"),
         "mounts[0].options[0]: iversion can't be had; passed over"},
        {MOUNTS("{'destination': '/a', 'type': 'proc', 'options': ['tmpcopyup']}"),
         "mounts[0].options: tmpcopyup is for a tmpfs; passed over"},
        {MOUNTS("{'destination': '/a', 'type': 'proc', 'options': ['shared', 'slave']}"),
         "mounts[0].options[1]: the propagation stands twice; the last one counts"},
        {MOUNTS("{'destination': '/a', 'type': 'proc', 'options': ['slave', 'slave']}"), NULL},
        {MOUNTS("{'destination': '/a', 'type': 'proc', 'speed': 1}"),
         "mounts[0].speed: unknown property; passed over"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        spec_check_warning(CL_SPEC_CONFIG, rows[i].text, rows[i].message);
}

TEST(a_relative_destination_is_relative_to_the_root)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(spec_parse(&scene, CL_SPEC_CONFIG, MOUNTS("{'destination': 'a/b', 'type': 'proc'}")) ==
          0);
    CHECK_TEXT(scene.spec.mounts.items[0].target, "/a/b");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(mounts_are_as_they_stand_and_in_order),
        ROW(each_word_has_its_bits),
        ROW(the_last_word_counts),
        ROW(other_words_are_flags_and_propagation),
        ROW(what_no_row_has_is_the_file_systems),
        ROW(engines_word_for_a_bind_mount_is_taken),
        ROW(maps_of_mounts_lie_one_after_the_other),
        ROW(an_id_mapped_mount_may_use_the_containers_maps),
        ROW(what_can_not_be_is_told_where_and_why),
        ROW(what_means_nothing_is_told),
        ROW(a_relative_destination_is_relative_to_the_root),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
