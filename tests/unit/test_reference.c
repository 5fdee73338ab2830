/* test_reference.c - names of images: what Docker takes them for, what is wrong with others,
 * and how they are shown. */
#include <errno.h>

#include "base/fault.h"
#include "oci/quote.h"
#include "oci/reference.h"
#include "check.h"

#define HEX "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define DIGEST "@sha256:" HEX
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define TAG_128 HUNDRED TEN TEN "01234567"
/* with "docker.io/" before it: 255 */
#define PATH_245 "x/" HUNDRED HUNDRED TEN TEN TEN TEN "012"

enum { ARENA_CAP = 1 << 16 };

struct good {
    const char *text;
    const char *domain;
    const char *repository;
    const char *tag;
    const char *familiar; /* NULL: nothing is left out */
};

static const struct good good[] = {
    {"debian", "docker.io", "library/debian", "latest", "debian:latest"},
    {"debian:bookworm", "docker.io", "library/debian", "bookworm", "debian:bookworm"},
    {"library/debian:12", "docker.io", "library/debian", "12", "debian:12"},
    {"docker.io/debian:12", "docker.io", "library/debian", "12", "debian:12"},
    {"docker.io/library/debian", "docker.io", "library/debian", "latest", "debian:latest"},
    {"index.docker.io/debian", "docker.io", "library/debian", "latest", "debian:latest"},
    {"index.docker.io/a/b", "docker.io", "a/b", "latest", "a/b:latest"},
    {"a/b", "docker.io", "a/b", "latest", "a/b:latest"},
    {"a/b/c:d", "docker.io", "a/b/c", "d", "a/b/c:d"},
    {"library/a/b", "docker.io", "library/a/b", "latest", "library/a/b:latest"},
    {"library", "docker.io", "library/library", "latest", "library:latest"},
    {"docker.io/library", "docker.io", "library/library", "latest", "library:latest"},
    /* what has no slash has no domain */
    {"localhost", "docker.io", "library/localhost", "latest", "localhost:latest"},
    {"localhost:5000", "docker.io", "library/localhost", "5000", "localhost:5000"},
    {"quay.io", "docker.io", "library/quay.io", "latest", "quay.io:latest"},
    {"docker.io", "docker.io", "library/docker.io", "latest", "docker.io:latest"},
    /* domains */
    {"quay.io/a", "quay.io", "a", "latest", NULL},
    {"quay.io/library/a:b", "quay.io", "library/a", "b", NULL},
    {"localhost/a", "localhost", "a", "latest", NULL},
    {"localhost:5000/a:b", "localhost:5000", "a", "b", NULL},
    {"registry:1/a/b", "registry:1", "a/b", "latest", NULL},
    {"registry:65535/a/b", "registry:65535", "a/b", "latest", NULL},
    {"a-b--c.1.example/a", "a-b--c.1.example", "a", "latest", NULL},
    {"127.0.0.1/a", "127.0.0.1", "a", "latest", NULL},
    {"[::1]/a", "[::1]", "a", "latest", NULL},
    {"[2001:DB8::1]:5000/a:b", "[2001:DB8::1]:5000", "a", "b", NULL},
    {"[1:2:3:4:5:6:7:8]/a", "[1:2:3:4:5:6:7:8]", "a", "latest", NULL},
    {"Host/a", "Host", "a", "latest", NULL},
    {"Docker.io/a", "Docker.io", "a", "latest", NULL},
    {"registry-1.docker.io/library/a", "registry-1.docker.io", "library/a", "latest", NULL},
    {"docker.io:443/a", "docker.io:443", "a", "latest", NULL},
    /* repositories */
    {"0", "docker.io", "library/0", "latest", "0:latest"},
    {"x/a.b_c__d-e---f9/z", "docker.io", "x/a.b_c__d-e---f9/z", "latest",
     "x/a.b_c__d-e---f9/z:latest"},
    {"a.b_c__d-e---f9", "docker.io", "library/a.b_c__d-e---f9", "latest", "a.b_c__d-e---f9:latest"},
    {"docker.io/" PATH_245, "docker.io", PATH_245, "latest", PATH_245 ":latest"},
    {PATH_245, "docker.io", PATH_245, "latest", PATH_245 ":latest"},
    /* read by themselves, these would be on other hosts, or a digest */
    {"docker.io/foo.bar/b", "docker.io", "foo.bar/b", "latest", NULL},
    {"docker.io/localhost/b", "docker.io", "localhost/b", "latest", NULL},
    {"docker.io/library/foo.bar", "docker.io", "library/foo.bar", "latest", "foo.bar:latest"},
    {"docker.io/library/sha256:" HEX, "docker.io", "library/sha256", HEX, NULL},
    {"sha256", "docker.io", "library/sha256", "latest", NULL},
    {"sha256:abc", "docker.io", "library/sha256", "abc", NULL},
    {"docker.io/library/" HEX, "docker.io", "library/" HEX, "latest", HEX ":latest"},
    {HEX ":1", "docker.io", "library/" HEX, "1", HEX ":1"},
    {HEX "0", "docker.io", "library/" HEX "0", "latest", HEX "0:latest"},
    {HEX "/a", "docker.io", HEX "/a", "latest", HEX "/a:latest"},
    /* tags */
    {"a:_", "docker.io", "library/a", "_", "a:_"},
    {"a:0.-_Z", "docker.io", "library/a", "0.-_Z", "a:0.-_Z"},
    {"a:Z..--", "docker.io", "library/a", "Z..--", "a:Z..--"},
    {"a:" TAG_128, "docker.io", "library/a", TAG_128, "a:" TAG_128},
    /* digests */
    {"a" DIGEST, "docker.io", "library/a", NULL, "a" DIGEST},
    {"a:b" DIGEST, "docker.io", "library/a", "b", "a:b" DIGEST},
    {"quay.io/a/b" DIGEST, "quay.io", "a/b", NULL, NULL},
    {"localhost:5000/a:b" DIGEST, "localhost:5000", "a", "b", NULL},
    {HEX DIGEST, "docker.io", "library/" HEX, NULL, HEX DIGEST},
};

static int is_text(const char *got, const char *expected)
{
    return got == expected || (got != NULL && expected != NULL && strcmp(got, expected) == 0);
}

static int are_same(const struct cl_reference *a, const struct cl_reference *b)
{
    return strcmp(a->domain, b->domain) == 0 && strcmp(a->repository, b->repository) == 0 &&
           is_text(a->tag, b->tag) && a->has_digest == b->has_digest &&
           (!a->has_digest || cl_digest_equal(&a->digest, &b->digest));
}

/* TEXT means WANTED, with the given default. */
static void check_means(const char *text, const char *default_domain,
                        const struct cl_reference *wanted, struct cl_arena *arena)
{
    struct cl_reference got = {0};
    struct cl_error err = {0};

    CHECK(cl_reference_parse(text, default_domain, arena, &got, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(got.domain != NULL && are_same(&got, wanted));
}

static void check_good(const struct good *row)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    const char *digest = strchr(row->text, '@');
    struct cl_reference wanted = {row->domain, row->repository, row->tag, digest != NULL, {HEX}};
    const char *whole = cl_arena_printf(
        &arena, "%s/%s%s%s%s", row->domain, row->repository, row->tag == NULL ? "" : ":",
        row->tag == NULL ? "" : row->tag, digest == NULL ? "" : digest);
    const char *familiar = row->familiar == NULL ? whole : row->familiar;

    check_means(row->text, NULL, &wanted, &arena);
    check_means(row->text, "docker.io", &wanted, &arena);
    check_means(row->text, "index.docker.io", &wanted, &arena);
    CHECK_TEXT(cl_reference_text(&wanted, &arena), whole);
    CHECK_TEXT(cl_reference_familiar(&wanted, NULL, &arena), familiar);
    CHECK_TEXT(cl_reference_familiar(&wanted, "index.docker.io", &arena), familiar);
    CHECK_TEXT(cl_reference_familiar(&wanted, "example.org", &arena), whole);
    check_means(whole, NULL, &wanted, &arena);
    check_means(whole, "example.org", &wanted, &arena);
    check_means(familiar, NULL, &wanted, &arena);
}

TEST(names_mean_what_docker_takes_them_for)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(good); i++) {
        int before = check_failures;

        check_good(&good[i]);
        if (check_failures > before)
            printf("# in the row of \"%s\"\n", good[i].text);
    }
}

TEST(another_default_domain_has_no_library)
{
    static const struct good others[] = {
        {"a", "quay.io", "a", "latest", "a:latest"},
        {"a/b:c", "quay.io", "a/b", "c", "a/b:c"},
        {"quay.io/library/a", "quay.io", "library/a", "latest", "library/a:latest"},
        {"docker.io/a", "docker.io", "library/a", "latest", "docker.io/library/a:latest"},
        {"index.docker.io/a", "docker.io", "library/a", "latest", "docker.io/library/a:latest"},
        {"quay.io/foo.bar/a", "quay.io", "foo.bar/a", "latest", "quay.io/foo.bar/a:latest"},
        {"localhost:5", "quay.io", "localhost", "5", "localhost:5"},
    };
    static const char *const defaults[] = {"localhost", "registry:5000", "[::1]", "Registry"};
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);

    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++) {
        const struct good *row = &others[i];
        const struct cl_reference wanted = {row->domain, row->repository, row->tag, 0, {""}};

        check_means(row->text, "quay.io", &wanted, &arena);
        CHECK_TEXT(cl_reference_familiar(&wanted, "quay.io", &arena), row->familiar);
        check_means(row->familiar, "quay.io", &wanted, &arena);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(defaults); i++) {
        const struct cl_reference wanted = {defaults[i], "a", "latest", 0, {""}};

        check_means("a", defaults[i], &wanted, &arena);
        check_means(cl_reference_text(&wanted, &arena), NULL, &wanted, &arena);
    }
}

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {"", "the image's name is empty; say one like debian:bookworm"},
    /* paths */
    {"/srv/root", "\"/srv/root\" is a path and not an image's name; a directory is rootfs:DIR or "
                  "oci:DIR, an archive oci-archive:FILE or docker-archive:FILE"},
    {"/", "\"/\" is a path"},
    {"./root", "\"./root\" is a path"},
    {"../root", "\"../root\" is a path"},
    {".", "\".\" is a path"},
    {"..", "\"..\" is a path"},
    {"~/root", "\"~/root\" is a path"},
    {"~", "\"~\" is a path"},
    {"./my root@x/\n", "\"./my root@x/\\x0a\" is a path"},
    /* URLs */
    {"https://quay.io/a", "\"https://\" is not part of an image's name: say \"quay.io/a\""},
    {"docker://debian:12", "\"docker://\" is not part of an image's name: say \"debian:12\""},
    {"git+ssh-2.0://x", "\"git+ssh-2.0://\" is not part of an image's name: say \"x\""},
    {"//quay.io/a", "\"//\" is not part of an image's name: say \"quay.io/a\""},
    {"https://", "\"https://\" is not part of an image's name, and no host follows it"},
    {"https:///a", "\"https://\" is not part of an image's name, and no host follows it"},
    {"//", "\"//\" is not part of an image's name, and no host follows it"},
    {"://a", "the image's name \"://a\": \"\" is no host's name"},
    {"a/b://c", "the image's name \"a/b://c\": \":\" can't be in a repository's name"},
    /* users and passwords */
    {"me@quay.io/a", "an image's name has no user or password in it"},
    {"me:secret@quay.io/a", "leave out what is before the host, and the \"@\""},
    {"https://me:secret@quay.io/a", "an image's name has no user or password in it"},
    /* bytes */
    {"deb ian", "the image's name \"deb ian\" has a space in it"},
    {" debian", "has a space in it"},
    {"debian:12 ", "has a space in it"},
    {"debian\n", "byte 7 of the image's name \"debian\\x0a\" is 0x0a; such a name is plain ASCII"},
    {"\tdebian", "byte 1 of the image's name \"\\x09debian\" is 0x09"},
    {"a\x1b[31m", "byte 2 of the image's name \"a\\x1b[31m\" is 0x1b"},
    {"a\x7f", "is 0x7f"},
    {"d\xd0\xb5"
     "bian",
     "byte 2 of the image's name \"d\\xd0\\xb5bian\" is 0xd0"},
    {"a:\xe2\x80\xaex", "byte 3 of the image's name \"a:\\xe2\\x80\\xaex\" is 0xe2"},
    {"\xff", "byte 1 of the image's name \"\\xff\" is 0xff"},
    /* digests */
    {HEX, "the digest \"" HEX "\" doesn't say of which repository: say NAME@sha256:DIGITS"},
    {"sha256:" HEX, "doesn't say of which repository"},
    {"a@", "the image's name \"a@\": no digest follows the \"@\""},
    {"a:b@", "no digest follows the \"@\""},
    {"@", "no digest follows the \"@\""},
    {DIGEST, "the repository is missing"},
    {"a@b", "the image's name \"a@b\": \"b\" is no digest"},
    {"a@" HEX, "lacks \"sha256:\" before its digits"},
    {"a@sha256:abc", "the image's name \"a@sha256:abc\": the digest \"sha256:abc\" has 3 digits"},
    {"a" DIGEST "0", "has 65 digits"},
    {"a@sha256:" HEX "/b", "is no hexadecimal digit"},
    {"a" DIGEST DIGEST, "is no hexadecimal digit"},
    {"a" DIGEST ":b", "is no hexadecimal digit"},
    /* domains */
    {"-a.b/c", "the image's name \"-a.b/c\": \"-a.b\" is no host's name"},
    {"a-.b/c", "\"a-.b\" is no host's name"},
    {"a.-b/c", "\"a.-b\" is no host's name"},
    {"a.b-/c", "\"a.b-\" is no host's name"},
    {"a..b/c", "\"a..b\" is no host's name"},
    {".a/c", "\".a\" is no host's name"},
    {".../c", "\"...\" is no host's name"},
    {"a./c", "\"a.\" is no host's name"},
    {"a_b.c/d", "\"a_b.c\" is no host's name"},
    {"a{.b/c", "\"a{.b\" is no host's name"},
    {":/a", "\"\" is no host's name"},
    {":5000/a", "\"\" is no host's name"},
    {"a:/b", "the image's name \"a:/b\": the host is followed by \":\" and not by \":\" and a port "
             "from 1 to 65535"},
    {"a:x/b", "the host is followed by \":x\""},
    {"a:0/b", "the host is followed by \":0\""},
    {"a:65536/b", "the host is followed by \":65536\""},
    {"a:000001/b", "the host is followed by \":000001\""},
    {"a:99999999999999999999999/b", "the host is followed by \":9999"},
    {"a:-1/b", "the host is followed by \":-1\""},
    {"a:1:2/b", "the host is followed by \":1:2\""},
    {"::1/a", "\"\" is no host's name"},
    {"[::1/a", "\"[::1\" is no IPv6 address in brackets"},
    {"[]:1/a", "\"[]\" is no IPv6 address in brackets"},
    {"[:/a", "\"[:\" is no IPv6 address"},
    {"[::::]/a", "\"[::::]\" is no IPv6 address"},
    {"[1:2]/a", "\"[1:2]\" is no IPv6 address"},
    {"[::127.0.0.1]/a", "\"[::127.0.0.1]\" is no IPv6 address"},
    {"[fe80::1%eth0]/a", "\"[fe80::1%eth0]\" is no IPv6 address"},
    {"[" HUNDRED ":]/a", "is no IPv6 address"},
    {"[::1]x/a", "the host is followed by \"x\""},
    {"[::1]:/a", "the host is followed by \":\""},
    {"[.]/a", "\"[.]\" is no IPv6 address"},
    /* repositories */
    {"Debian", "the image's name \"Debian\": repository names are lower case: did you mean "
               "\"debian\"?"},
    {"DEBIAN:Bookworm", "did you mean \"debian:Bookworm\"?"},
    {"a/B/cD" DIGEST, "did you mean \"a/b/cd" DIGEST "\"?"},
    {"quay.io/A", "did you mean \"quay.io/a\"?"},
    {"Quay.io/A:B", "did you mean \"Quay.io/a:B\"?"},
    {"Host:1/A", "did you mean \"Host:1/a\"?"},
    {"localhost/A", "did you mean \"localhost/a\"?"},
    {"Library/Debian", "did you mean \"library/debian\"?"}, /* hardly the host Library */
    {"A/b/C:D", "did you mean \"a/b/c:D\"?"},
    {HUNDRED TEN TEN TEN ".example/A", "did you mean \"" HUNDRED TEN TEN "...\"?"},
    {"quay.io/", "the image's name \"quay.io/\": the repository is missing"},
    {":a", "the repository is missing"},
    {"quay.io/:a", "the repository is missing"},
    {"a//b", "the image's name \"a//b\": nothing follows a slash"},
    {"a/", "nothing follows a slash"},
    {"a/:b", "nothing follows a slash"},
    {"quay.io//a", "nothing follows a slash"},
    {"a/../b", "a repository's name is no path: it has no \"..\""},
    {"a/..", "it has no \"..\""},
    {"a/./b", "it has no \".\""},
    {"quay.io/..", "it has no \"..\""},
    {"quay.io/../../etc/passwd", "it has no \"..\""},
    {"a/...", "in \"...\", one of \".\", \"_\", \"__\" or dashes can stand between letters or"},
    {"-a", "in \"-a\", one of"},
    {"a-", "in \"a-\", one of"},
    {"_a", "in \"_a\", one of"},
    {"a__", "in \"a__\", one of"},
    {"a..b", "in \"a..b\", one of"},
    {"a___b", "in \"a___b\", one of"},
    {"a-_b", "in \"a-_b\", one of"},
    {"a._b", "in \"a._b\", one of"},
    {"a/b-/c", "in \"b-\", one of"},
    {".a", "in \".a\", one of"},
    {"A-", "in \"A-\", one of"}, /* the first thing wrong that lower case won't cure */
    {"a+b", "the image's name \"a+b\": \"+\" can't be in a repository's name"},
    {"a{b", "\"{\" can't be in a repository's name"},
    {"a\\b", "\"\\\" can't be in a repository's name"},
    {"a\"b", "the image's name \"a\\x22b\": \"\\x22\" can't be in a repository's name"},
    {"a%2fb", "\"%\" can't be in"},
    {"a:b/c:d", "the host is followed by \":b\""},
    {"a/b:c/d", "\":\" can't be in"},
    {"a?b", "\"?\" can't be in"},
    {"*", "\"*\" can't be in"},
    /* tags */
    {"a:", "the image's name \"a:\": no tag follows the \":\""},
    {"a:" DIGEST, "no tag follows the \":\""},
    {":", "no tag follows the \":\""},
    {"a:.b", "\".\" can't begin a tag"},
    {"a:-b", "\"-\" can't begin a tag"},
    {"a:b+c", "\"+\" can't be in a tag"},
    {"a:b:c", "\":\" can't be in a tag"},
    {"a::b", "\":\" can't begin a tag"},
    {"localhost:5000:a", "\":\" can't be in a tag"},
};

static const struct cl_reference untouched = {"d", "r", "t", 7, {HEX}};

static int is_untouched(const struct cl_reference *got)
{
    return are_same(got, &untouched) && got->has_digest == 7;
}

static void check_refused(const char *text, const char *default_domain, int errnum,
                          const char *message)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_reference got = untouched;
    struct cl_error err = {0};
    int before = check_failures;

    CHECK(cl_reference_parse(text, default_domain, &arena, &got, &err) == -errnum);
    CHECK(err.code == errnum);
    CHECK_HAS(err.msg, message);
    CHECK(strlen(err.msg) < sizeof(err.msg) - 1); /* whole */
    CHECK(strstr(err.msg, "secret") == NULL);
    CHECK(is_untouched(&got));
    for (const char *p = err.msg; *p != '\0'; p++)
        CHECK(*p >= 0x20 && *p < 0x7f);
    if (check_failures > before)
        printf("# in the row of \"%s\"\n", text);
}

TEST(what_is_no_name_is_refused_with_the_cure)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++)
        check_refused(wrong[i].text, NULL, EINVAL, wrong[i].message);
}

TEST(digests_of_other_algorithms_are_not_supported)
{
    check_refused(
        "a@sha512:" HEX HEX, NULL, ENOTSUP,
        "the image's name \"a@sha512:" HEX
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e7...\": digests by sha512 are not");
    check_refused("a@md5:" HEX, NULL, ENOTSUP, "\"md5\" is no algorithm");
    check_refused("a@@sha256:" HEX, NULL, ENOTSUP, "\"@sha256\" is no algorithm");
    check_refused("a@SHA256:" HEX, NULL, EINVAL, "write sha256 in lower case");
}

TEST(too_long_is_told_by_how_much)
{
    check_refused("docker.io/" PATH_245 "9", NULL, ENAMETOOLONG,
                  "it is 256 bytes long without tag and digest, more than 255");
    check_refused(PATH_245 "9", NULL, ENAMETOOLONG, "it is 256 bytes long");
    /* and "docker.io/library/" */
    check_refused(HUNDRED HUNDRED TEN TEN TEN "01234567:x", NULL, ENAMETOOLONG,
                  "it is 256 bytes long");
    check_refused("a/" HUNDRED HUNDRED HUNDRED HUNDRED "/B" DIGEST, NULL, ENAMETOOLONG,
                  "it is 414 bytes long");
    check_refused("a:" TAG_128 "8", NULL, ENAMETOOLONG, "the tag is 129 bytes long, more than 128");
    check_refused("a", HUNDRED HUNDRED HUNDRED ".example", ENAMETOOLONG, "it is 310 bytes long");
}

TEST(a_megabyte_is_refused_in_one_line)
{
    enum { SIZE = 1 << 20 };
    static const char fills[] = "aA.:/@-_[ \x80\n";
    CL_CLEANUP_FREE char *text = malloc(SIZE + 1);

    CHECK(text != NULL);
    for (size_t i = 0; text != NULL && i < sizeof(fills) - 1; i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        struct cl_reference got = {0};
        struct cl_error err = {0};

        memset(text, fills[i], SIZE);
        text[SIZE] = '\0';
        CHECK(cl_reference_parse(text, NULL, &arena, &got, &err) < 0);
        CHECK(err.msg[0] != '\0' && strlen(err.msg) < sizeof(err.msg) - 1);
        CHECK(got.domain == NULL);
    }
}

TEST(a_default_domain_must_be_one)
{
    check_refused("a", "registry", EINVAL,
                  "the default registry \"registry\": a name's first part is a host when it has a "
                  "dot or a port");
    check_refused("quay.io/a", "", EINVAL, "the default registry \"\": \"\" is no host's name");
    check_refused("a", "[", EINVAL, "\"[\" is no IPv6 address in brackets");
    check_refused("a", "https://quay.io", EINVAL, "the default registry \"https://quay.io\": ");
    check_refused("a", "quay.io/a", EINVAL, "a path follows the host; say \"quay.io\" alone");
    check_refused("a", "https://quay.io", EINVAL, "\"://quay.io\" and not by \":\" and a port");
    check_refused("a", "quay.io:0", EINVAL, "the host is followed by \":0\"");
    check_refused("a", "quay\n.io", EINVAL, "\"quay\\x0a.io\" is no host's name");
}

/* Whatever can't be had is said, and nothing is half there: not even a tag beside a digest. */
TEST(no_memory_is_an_error)
{
    static const char *const texts[] = {"a", "a:b", "a" DIGEST, "quay.io/a:b" DIGEST};

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        int r = -1;
        size_t cap = 0;

        for (; r < 0 && cap < ARENA_CAP; cap += 16) {
            CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
            struct cl_reference got = untouched;
            struct cl_error err = {0};

            r = cl_reference_parse(texts[i], NULL, &arena, &got, &err);
            CHECK(r == 0 || (r == -ENOMEM && is_untouched(&got)));
            if (r == 0) {
                CHECK((got.tag != NULL) == (strcmp(texts[i], "a" DIGEST) != 0));
                CHECK(cl_reference_text(&got, &arena) == NULL);
                CHECK(cl_reference_familiar(&got, NULL, &arena) == NULL);
            } else {
                CHECK_TEXT(err.msg, "out of memory");
            }
        }
        CHECK(r == 0 && cap >= 32 + 16);
    }
#ifdef CL_FAULTS
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_reference got = untouched;
    struct cl_error err = {0};

    cl_fault_set("self:alloc:1");
    CHECK(cl_reference_parse("a:b" DIGEST, NULL, &arena, &got, &err) == -ENOMEM);
    CHECK(cl_fault_struck() && is_untouched(&got));
    cl_arena_done(&arena);
    cl_fault_set("self:alloc:1");
    CHECK(cl_reference_text(&untouched, &arena) == NULL && cl_fault_struck());
    cl_fault_set(NULL);
#endif
}

TEST(docker_io_is_served_by_another_host)
{
    CHECK_TEXT(cl_reference_host("docker.io"), "registry-1.docker.io");
    CHECK_TEXT(cl_reference_host("quay.io"), "quay.io");
    CHECK_TEXT(cl_reference_host("localhost:5000"), "localhost:5000");
    CHECK_TEXT(cl_reference_host("docker.io:443"), "docker.io:443");
    CHECK_TEXT(cl_reference_host("docker.io.example"), "docker.io.example");
}

TEST(loopback_is_what_all_take_for_it)
{
    static const char *const ours[] = {
        "localhost",       "localhost:5000", "LocalHost:1",  "127.0.0.1", "127.0.0.1:65535",
        "127.255.255.255", "127.0.0.0",      "127.1.2.3:80", "[::1]",     "[::1]:5000",
    };
    static const char *const others[] = {
        "",
        "docker.io",
        "localhos",
        "localhosts",
        "localhost.",
        "localhost.evil",
        "evil.localhost",
        "localhost.evil:80",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:x",
        "localhost:80@evil",
        "localhost:80:80",
        "localhost/evil",
        "127.0.0.1.evil.example",
        "127.0.0.1.",
        "127.0.0.1x",
        "127.0.0.1:evil",
        "127.0.0.256",
        "127.0.0.1000",
        "127.0.0.99999999999999999999",
        "127.0.0",
        "127.0.0.",
        "127.0.0.1.1",
        "127.0..1",
        "127.1",
        "127",
        "127.0.0.01",
        "127.00.0.1",
        "0127.0.0.1",
        "0177.0.0.1",
        "0x7f.1",
        "0x7f.0.0.1",
        "127.0.0.0x1",
        "2130706433",
        "0x7f000001",
        "128.0.0.1",
        "12.7.0.1",
        "0.0.0.0",
        "1270.0.0.1",
        "127.0.0.-1",
        "[::1",
        "::1",
        "[::1]evil",
        "[::1]:",
        "[::2]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::01]",
        "[::ffff:127.0.0.1]",
        "[::1%lo]",
        "[127.0.0.1]",
        "[localhost]",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(ours); i++) {
        if (!cl_domain_is_loopback(ours[i]))
            CHECK_TEXT(ours[i], "a loopback domain");
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++) {
        if (cl_domain_is_loopback(others[i]))
            CHECK_TEXT(others[i], "no loopback domain");
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(names_mean_what_docker_takes_them_for),
        ROW(another_default_domain_has_no_library),
        ROW(what_is_no_name_is_refused_with_the_cure),
        ROW(digests_of_other_algorithms_are_not_supported),
        ROW(too_long_is_told_by_how_much),
        ROW(a_megabyte_is_refused_in_one_line),
        ROW(a_default_domain_must_be_one),
        ROW(no_memory_is_an_error),
        ROW(docker_io_is_served_by_another_host),
        ROW(loopback_is_what_all_take_for_it),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
