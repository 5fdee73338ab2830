/* test_archive.c - tar archives of images: where their files lie, and archives that lie. */
#include <errno.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "tar_scene.h"

static int list_fd(struct scene *scene, int fd)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    struct cl_archive_record back = {.set = 0};

    scene->err = (struct cl_error){0};
    scene->record = (struct cl_archive_record){.set = 0};
    int r = cl_archive_list(fd, "t.tar", &scene->arena, &scene->record, &scene->err);
    if (r < 0) {
        CHECK(scene->record.set == 0);
        CHECK(strncmp(scene->err.msg, "t.tar: ", 7) == 0);
        return r;
    }
    CHECK(cl_flat_write(&cl_archive_shape, &scene->record, &buf, &scene->err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&cl_archive_shape, &bytes, &scene->arena, &back, &scene->err) == 0);
    CHECK(back.members.count == scene->record.members.count);
    return r;
}

static int list(struct scene *scene)
{
    CL_CLEANUP_FD int fd = memfd_create("tar", MFD_CLOEXEC);

    CHECK(fd >= 0 && cl_write_all(fd, scene->tar.data, scene->tar.size) == 0);
    return list_fd(scene, fd);
}

/* The member at INDEX is NAME with DATA. */
static void check_member(const struct scene *scene, size_t index, const char *name,
                         const char *data)
{
    CHECK(index < scene->record.members.count);
    if (index >= scene->record.members.count)
        return;
    const struct cl_archive_member *member = &scene->record.members.items[index];
    CHECK_TEXT(member->name, name);
    CHECK(member->size_bytes == strlen(data));
    CHECK(memcmp(scene->tar.data + member->offset_bytes, data, strlen(data)) == 0);
}

static void check_refused(struct scene *scene, const char *message)
{
    CHECK(list(scene) < 0);
    CHECK_HAS(scene->err.msg, message);
}

TEST(files_are_listed_by_name)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;
    char data[1025];

    memset(data, 'd', sizeof(data) - 1);
    data[sizeof(data) - 1] = '\0';
    add_header(&scene, &(struct header){.name = "./", .type = '5'});
    add_file(&scene, "./manifest.json", "[]");
    add_header(&scene, &(struct header){.name = "blobs/", .type = '5'});
    add_header(&scene, &(struct header){.name = "old/", .type = '\0'});
    add_file(&scene, "blobs/sha256/b", data);
    add_file(&scene, "blobs/sha256/./a", "");
    add_header(&scene, &(struct header){.name = "pipe", .type = '6'});
    add_header(&scene, &(struct header){.name = "tty", .type = '3'});
    add_end(&scene);
    CHECK(list(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == 3);
    check_member(&scene, 0, "blobs/sha256/a", "");
    check_member(&scene, 1, "blobs/sha256/b", data);
    check_member(&scene, 2, "manifest.json", "[]");
}

TEST(an_archive_may_be_empty)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_end(&scene);
    CHECK(list(&scene) == 0 && scene.record.members.count == 0);
}

TEST(what_follows_the_end_is_of_no_matter)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_file(&scene, "a", "x");
    CHECK(list(&scene) == 0 && scene.record.members.count == 1); /* some writers write no end */
    CHECK(cl_buf_grow(&scene.tar, BLOCK) == 0);
    CHECK(list(&scene) == 0 && scene.record.members.count == 1);
    CHECK(cl_buf_grow(&scene.tar, BLOCK) == 0);
    add_file(&scene, "b", "x");
    CHECK(cl_buf_add_str(&scene.tar, "junk") == 0);
    CHECK(list(&scene) == 0 && scene.record.members.count == 1);
}

TEST(old_and_gnu_headers_are_understood)
{
    static const char long_name[] = "a/very/long/name/as/gnu/has/it";
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    /* no magic at all */
    add_header(&scene,
               &(struct header){.name = "v7", .type = '\0', .size = 1, .magic = "\0\0\0\0\0\0\0"});
    add_data(&scene, "7", 1);
    /* GNU keeps times where POSIX has the prefix */
    add_header(
        &scene,
        &(struct header){
            .name = "gnu", .type = '0', .size = 1, .magic = "ustar  ", .prefix = "12345670123"});
    add_data(&scene, "g", 1);
    add_header(&scene,
               &(struct header){.name = "posix", .type = '0', .size = 1, .prefix = "the/prefix"});
    add_data(&scene, "p", 1);
    add_extension(&scene, 'L', long_name, sizeof(long_name));
    add_file(&scene, "a/very/", "l"); /* cut, and no directory for that */
    add_extension(&scene, 'K', long_name, sizeof(long_name));
    add_link(&scene, "link", '2', "a/very/lo");
    /* the extension was of one member alone */
    add_file(&scene, "next", "n");
    add_end(&scene);
    CHECK(list(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == 6);
    check_member(&scene, 0, long_name, "l");
    check_member(&scene, 1, "gnu", "g");
    check_member(&scene, 2, "link", "l");
    check_member(&scene, 3, "next", "n");
    check_member(&scene, 4, "the/prefix/posix", "p");
    check_member(&scene, 5, "v7", "7");
}

#define PAX(text) text, sizeof(text) - 1

TEST(pax_headers_say_more)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_extension(&scene, 'g', PAX("16 comment=abcd\n"));
    add_extension(&scene, 'x',
                  PAX("18 path=dir/n\xc3\xa4me\n9 size=3\n30 mtime=1700000000.123456789\n"));
    add_header(&scene, &(struct header){.name = "short", .type = '0', .size = 0});
    add_data(&scene, "abc", 3);
    add_extension(&scene, 'x', PAX("22 linkpath=dir/n\xc3\xa4me\n"));
    add_link(&scene, "hard", '1', "x");
    add_end(&scene);
    CHECK(list(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == 2);
    check_member(&scene, 0, "dir/n\xc3\xa4me", "abc");
    check_member(&scene, 1, "hard", "abc");
}

TEST(links_are_the_files_they_name)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_link(&scene, "2/layer.tar", '2', "../1/layer.tar");
    add_link(&scene, "3/layer.tar", '2', "./.././1//layer.tar");
    add_link(&scene, "4", '2', "1/layer.tar");
    add_link(&scene, "5/hard", '1', "./1/layer.tar");
    add_file(&scene, "1/layer.tar", "bytes");
    add_end(&scene);
    CHECK(list(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == 5);
    check_member(&scene, 0, "1/layer.tar", "bytes");
    check_member(&scene, 1, "2/layer.tar", "bytes");
    check_member(&scene, 2, "3/layer.tar", "bytes");
    check_member(&scene, 3, "4", "bytes");
    check_member(&scene, 4, "5/hard", "bytes");
}

TEST(links_that_lead_elsewhere_are_refused)
{
    static const struct {
        const char *name;
        char type;
        const char *target;
        const char *message;
    } links[] = {
        {"a/b", '2', "../../x", "t.tar: member \"a/b\": a link out of the archive, to \"../../x\""},
        {"a/b", '2', "/etc/passwd", "a link out of the archive, to \"/etc/passwd\""},
        {"a", '1', "/x", "a link out of the archive"},
        {"a/b", '1', "../x", "a link out of the archive"},
        {"a/b", '2', "..", "a link out of the archive"},
        {"a/b", '2', "", "a link to \"a\", which is no file of the archive"},
        {"a", '1', "", "a link out of the archive"},
        {"a", '2', "missing",
         "t.tar: member \"a\": a link to \"missing\", which is no file of the archive"},
        {"a", '2', "a", "t.tar: member \"a\": a link to \"a\", which is a link itself"},
        {"a", '2', "link", "member \"a\": a link to \"link\", which is a link itself"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(links); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        add_file(&scene, "x", "");
        add_link(&scene, "link", '2', "x");
        add_link(&scene, links[i].name, links[i].type, links[i].target);
        add_end(&scene);
        check_refused(&scene, links[i].message);
    }
}

TEST(names_that_lead_out_or_stand_twice_are_refused)
{
    static const struct {
        const char *name;
        const char *message;
    } names[] = {
        {"/etc/passwd", "t.tar: member \"/etc/passwd\": it leads out of the archive"},
        {"../x", "it leads out of the archive"},
        {"a/../x", "it leads out of the archive"},
        {"a/..", "it leads out of the archive"},
        {"..", "it leads out of the archive"},
        {"", "it has no name"},
        {".", "it has no name"},
        {"twice", "t.tar: member \"twice\" stands twice"},
        {"./twice", "t.tar: member \"twice\" stands twice"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        add_file(&scene, "before", "x");
        add_file(&scene, "twice", "1");
        add_file(&scene, "z", "x");
        add_file(&scene, names[i].name, "2");
        add_end(&scene);
        check_refused(&scene, names[i].message);
    }
}

TEST(dots_within_names_are_names)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_file(&scene, "a..b/..c/d..", "x");
    add_end(&scene);
    CHECK(list(&scene) == 0);
    check_member(&scene, 0, "a..b/..c/d..", "x");
}

#define DAMAGED "t.tar: damaged tar archive: "
#define CUT "t.tar: the tar archive ends in the middle of an entry"

static const struct {
    struct header header;
    const char *message;
} wrong_headers[] = {
    {{.name = "a", .type = '0', .wrong_sum = 1},
     DAMAGED "a header whose checksum is wrong, at byte 1024"},
    {{.name = "a", .type = 'S', .magic = "ustar  ", .size_field = "00000000000"},
     "t.tar: member \"a\": a sparse file; make the archive without (tar without -S)"},
    {{.name = "a", .type = 'S'}, "t.tar: \"a\" is an entry of type \"S\", which no layer has"},
    {{.name = "a", .type = 'D'}, "t.tar: \"a\" is an entry of type \"D\", which no layer has"},
    {{.name = "a", .type = '0', .size_field = "0000000000x"}, DAMAGED "a size that is none"},
    {{.name = "a", .type = '0', .size_field = "-0000000001"}, DAMAGED "a size that is none"},
    {{.name = "a", .type = '0', .size_field = "00000000 01"}, DAMAGED "a size that is none"},
    {{.name = "a", .type = '0', .size_field = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
     DAMAGED "a size that is none"},
    {{.name = "a", .type = '0', .size_field = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"},
     DAMAGED "a size that no file has"},
    {{.name = "a", .type = '0', .size_field = "\x80\0\0\0\0\x04\0\0\0\0\0\x01"}, CUT},
    {{.name = "a", .type = '0', .size_field = "777777777777"}, CUT},
    {{.name = "a", .type = '0', .size = 2000}, CUT},
    {{.name = "a", .type = 'x', .size = (1 << 20) + 1},
     DAMAGED "an extended header of more than a MiB"},
    {{.name = "a", .type = 'x', .size = 5000}, CUT},
};

/* The links, directories and devices that say they have content have none, as in layers. */
TEST(what_is_no_file_has_no_content)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_file(&scene, "first", "x");
    add_header(&scene, &(struct header){.name = "a", .type = '2', .link = "first", .size = 9000});
    add_header(&scene, &(struct header){.name = "b", .type = '1', .link = "first", .size = 9000});
    add_header(&scene, &(struct header){.name = "c", .type = '5', .size = 9000});
    add_end(&scene);
    CHECK(list(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == 3);
    check_member(&scene, 0, "a", "x");
    check_member(&scene, 1, "b", "x");
}

TEST(wrong_headers_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong_headers); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        add_file(&scene, "first", "x");
        add_header(&scene, &wrong_headers[i].header);
        add_end(&scene);
        check_refused(&scene, wrong_headers[i].message);
    }
}

#define NO_RECORD DAMAGED "a pax header with a record that is none"

static const struct {
    char type;
    const char *data;
    size_t size;
    const char *message;
} wrong_extensions[] = {
    {'x', PAX("13 path=dir/n\n"), NO_RECORD},
    {'x', PAX("15 path=dir/n\n"), NO_RECORD},
    {'x', PAX("99999999999999999999 path=dir/n\n"), NO_RECORD},
    {'x', PAX("path=x\n"), NO_RECORD},
    {'x', PAX("0 path=x\n"), NO_RECORD},
    {'x', PAX("5 =x\n"), NO_RECORD},
    {'x', PAX("12 path=a\0b\n"), "t.tar: member \"a\\x00b\": a name that holds a NUL"},
    {'x', PAX("9 size=x\n"), DAMAGED "a pax header with a number that is none"},
    {'x', PAX("32 size=99999999999999999999999\n"),
     DAMAGED "a pax header with a number that is none"},
    {'x', PAX("22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"),
     DAMAGED "a sparse file without a size"},
    {'x', PAX("22 GNU.sparse.map=0,0\n22 GNU.sparse.size=40\n"),
     "t.tar: member \"a\": a sparse file"},
    {'L', "\0\0", 2, "t.tar: member \"\": it has no name"},
    {'L', "a\0b", 3, "a name that holds a NUL"},
    {'x', PAX("13 path=../a\n"), "t.tar: member \"../a\": it leads out of the archive"},
};

TEST(wrong_extensions_are_told)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong_extensions); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;

        add_extension(&scene, wrong_extensions[i].type, wrong_extensions[i].data,
                      wrong_extensions[i].size);
        add_file(&scene, "a", "");
        add_end(&scene);
        check_refused(&scene, wrong_extensions[i].message);
    }
}

/* As in layers: GNU's over pax', and of a kind the last. */
TEST(the_last_name_counts)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_extension(&scene, 'L', "a", 2);
    add_extension(&scene, 'x', PAX("10 path=b\n"));
    add_file(&scene, "c", "1");
    add_extension(&scene, 'x', PAX("10 path=d\n10 path=e\n8 size=\n"));
    add_file(&scene, "c", "2");
    add_extension(&scene, 'g', PAX("10 path=f\n"));
    add_file(&scene, "c", "3");
    add_end(&scene);
    CHECK(list(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == 3);
    check_member(&scene, 0, "a", "1");
    check_member(&scene, 1, "c", "3");
    check_member(&scene, 2, "e", "2");
}

TEST(a_name_too_long_is_refused)
{
    for (size_t size = CL_ARRAY_SIZE((char[4095]){0}); size <= 4096; size++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        char name[4097];

        memset(name, 'n', size);
        name[size] = '\0';
        add_extension(&scene, 'L', name, size + 1);
        add_file(&scene, "n", "");
        add_end(&scene);
        CHECK((list(&scene) == 0) == (size == 4095));
    }
}

TEST(what_is_no_archive_is_told_apart)
{
    static const struct {
        const char *data;
        size_t size;
        const char *message;
    } starts[] = {
        {"", 0, "t.tar: the file is empty"},
        {"x", 1, "t.tar: it is no tar archive"},
        {"{\"json\": 1}", BLOCK, "t.tar: it is no tar archive"},
        {"\x1f\x8b\x08", BLOCK,
         "t.tar: the archive is compressed by gzip; uncompress it first (gzip -d)"},
        {"\x28\xb5\x2f\xfd", BLOCK, "t.tar: the archive is compressed by zstd"},
        {"\xfd\x37zXZ", BLOCK, "t.tar: the archive is compressed by xz"},
        {"BZh9", BLOCK, "t.tar: the archive is compressed by bzip2"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(starts); i++) {
        CL_CLEANUP_SCENE struct scene scene = SCENE;
        size_t size = strlen(starts[i].data);

        CHECK(cl_buf_add_str(&scene.tar, starts[i].data) == 0);
        if (starts[i].size > size)
            CHECK(cl_buf_grow(&scene.tar, starts[i].size - size) == 0);
        check_refused(&scene, starts[i].message);
    }
}

/* Between two members alone it can't be. */
TEST(a_cut_within_a_member_is_seen)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_file(&scene, "a", "1");
    const size_t first = scene.tar.size;
    add_extension(&scene, 'x', PAX("14 path=dir/n\n"));
    add_file(&scene, "b", "2");
    const size_t whole = scene.tar.size;
    add_end(&scene);
    for (size_t size = 0; size <= whole + BLOCK + BLOCK; size += 128) {
        scene.tar.size = size;
        CHECK((list(&scene) == 0) == (size == first || size == whole || size == whole + BLOCK ||
                                      size == whole + BLOCK + BLOCK));
    }
    scene.tar.size = whole - 1;
    CHECK(list(&scene) == -ENODATA);
    CHECK_TEXT(scene.err.msg, CUT);
}

TEST(an_extension_of_nothing_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;

    add_file(&scene, "a", "1");
    add_extension(&scene, 'x', PAX("14 path=dir/n\n"));
    add_end(&scene);
    check_refused(&scene, DAMAGED "an extended header without its entry");
}

TEST(pipes_and_directories_are_no_archives)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;
    CL_CLEANUP_FD int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ends[2];

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    CHECK(list_fd(&scene, ends[0]) < 0);
    CHECK_HAS(scene.err.msg, "the archive must be a file, not a pipe");
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    CHECK(list_fd(&scene, directory) < 0);
}

/* What is between headers is passed over, not read: it would take days. Where the descriptor
 * stands is nobody's business. */
TEST(members_lie_beyond_terabytes)
{
    const uint64_t size = (1ULL << 49) + 7;
    const off_t padded = (off_t)((size + BLOCK - 1) / BLOCK * BLOCK);
    CL_CLEANUP_SCENE struct scene scene = SCENE;
    CL_CLEANUP_FD int fd = memfd_create("tar", MFD_CLOEXEC);

    add_header(&scene, &(struct header){.name = "large",
                                        .type = '0',
                                        .size_field = "\x80\0\0\0\0\x02\0\0\0\0\0\x07"});
    CHECK(pwrite(fd, scene.tar.data, BLOCK, 0) == BLOCK);
    scene.tar.size = 0;
    add_file(&scene, "after", "x");
    add_end(&scene);
    CHECK(pwrite(fd, scene.tar.data, scene.tar.size, BLOCK + padded) == (ssize_t)scene.tar.size);
    CHECK(list_fd(&scene, fd) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == 2);
    CHECK(scene.record.members.items[0].offset_bytes == (uint64_t)padded + BLOCK + BLOCK);
    CHECK(scene.record.members.items[1].size_bytes == size);
}

TEST(as_many_members_as_may_be)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;
    char name[16];

    for (int i = 0; i < CL_ARCHIVE_MAX_MEMBERS; i++) {
        (void)snprintf(name, sizeof(name), "%d",
                       (int)((unsigned int)i * 40503U % CL_ARCHIVE_MAX_MEMBERS));
        add_header(&scene, &(struct header){.name = name, .type = '0'});
    }
    size_t most = scene.tar.size;
    add_end(&scene);
    CHECK(list(&scene) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.record.members.count == CL_ARCHIVE_MAX_MEMBERS);
    for (size_t i = 1; i < scene.record.members.count; i++)
        CHECK(strcmp(scene.record.members.items[i - 1].name, scene.record.members.items[i].name) <
              0);
    scene.tar.size = most;
    add_header(&scene, &(struct header){.name = "one more/", .type = '5'});
    add_end(&scene);
    check_refused(&scene, "the archive has more than 65536 members");
}

/* Each allocation fails once. */
TEST(a_lack_of_memory_is_told)
{
    CL_CLEANUP_SCENE struct scene scene = SCENE;
    CL_CLEANUP_FD int fd = memfd_create("tar", MFD_CLOEXEC);

    add_extension(&scene, 'x', PAX("10 path=n\n"));
    add_file(&scene, "a", "1");
    add_link(&scene, "b", '2', "n");
    add_end(&scene);
    CHECK(fd >= 0 && cl_write_all(fd, scene.tar.data, scene.tar.size) == 0);
    int r = -ENOMEM;

    for (size_t cap = 0; r < 0 && cap < 1 << 20; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct cl_archive_record record = {.set = 0};
        struct cl_error err = {0};

        r = cl_archive_list(fd, "t", &arena, &record, &err);
        CHECK(r == 0 || (r == -ENOMEM && err.code == ENOMEM && record.set == 0));
    }
    CHECK(r == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(files_are_listed_by_name),
        ROW(an_archive_may_be_empty),
        ROW(what_follows_the_end_is_of_no_matter),
        ROW(old_and_gnu_headers_are_understood),
        ROW(pax_headers_say_more),
        ROW(links_are_the_files_they_name),
        ROW(links_that_lead_elsewhere_are_refused),
        ROW(names_that_lead_out_or_stand_twice_are_refused),
        ROW(dots_within_names_are_names),
        ROW(what_is_no_file_has_no_content),
        ROW(wrong_headers_are_told_where_and_why),
        ROW(wrong_extensions_are_told),
        ROW(the_last_name_counts),
        ROW(a_name_too_long_is_refused),
        ROW(what_is_no_archive_is_told_apart),
        ROW(a_cut_within_a_member_is_seen),
        ROW(an_extension_of_nothing_is_refused),
        ROW(pipes_and_directories_are_no_archives),
        ROW(members_lie_beyond_terabytes),
        ROW(as_many_members_as_may_be),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
