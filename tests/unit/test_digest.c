/* test_digest.c - digests, chain IDs, and foreign text in messages. */
#include <errno.h>

#include "oci/digest.h"
#include "oci/quote.h"
#include "check.h"

#define A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define B "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
#define C "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"
/* of "sha256:A sha256:B", and of that one's "sha256:... sha256:C", by another program */
#define A_B "51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676"
#define A_B_C "2fce7f8ce91bcf0a1428b36e1024639fdbd9469eea762dba98aa749631885106"

static struct cl_digest digest(const char *hex)
{
    struct cl_digest made;

    memcpy(made.hex, hex, sizeof(made.hex));
    return made;
}

TEST(a_digest_is_its_digits)
{
    struct cl_digest got = {0};
    struct cl_error err = {0};
    char text[CL_DIGEST_TEXT_SIZE];

    CHECK(cl_digest_parse("sha256:" A, &got, &err) == 0 && err.code == 0);
    CHECK_TEXT(got.hex, A);
    CHECK(cl_digest_format(&got, text) == text);
    CHECK_TEXT(text, "sha256:" A);
    CHECK(cl_digest_parse("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                          &got, &err) == 0);
}

static const struct {
    const char *text;
    int errnum;
    const char *message;
} wrong[] = {
    {"", EINVAL, "\"\" is no digest, which is sha256: and 64 hexadecimal digits"},
    {"latest", EINVAL, "\"latest\" is no digest"},
    {":" A, EINVAL, "is no digest"},
    {A, EINVAL, "the digest \"" A "\" lacks \"sha256:\" before its digits"},
    {A "0", EINVAL, "is no digest"},
    {"../../etc/passwd", EINVAL, "\"../../etc/passwd\" is no digest"},
    /* algorithms */
    {"sha512:" A A, ENOTSUP, "digests by sha512 are not supported, only those by sha256"},
    {"sha384:" A, ENOTSUP, "digests by sha384 are not supported"},
    {"blake3:" A, ENOTSUP, "digests by blake3 are not supported"},
    {"md5:d41d8cd98f00b204e9800998ecf8427e", ENOTSUP, "\"md5\" is no algorithm of digests"},
    {"sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", ENOTSUP, "\"sha256+b64u\" is no"},
    {"../x:" A, ENOTSUP, "\"../x\" is no algorithm"},
    {" sha256:" A, ENOTSUP, "\" sha256\" is no algorithm"},
    {"SHA256:" A, EINVAL, "begins with \"SHA256:\"; write sha256 in lower case"},
    {"Sha256:" A, EINVAL, "write sha256 in lower case"},
    /* digits */
    {"sha256:", EINVAL, "has 0 digits; sha256 has 64"},
    {"sha256:" A "0", EINVAL, "has 65 digits; sha256 has 64"},
    {"sha256:abc", EINVAL, "the digest \"sha256:abc\" has 3 digits; sha256 has 64"},
    {"sha256:CA978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", EINVAL,
     "has capital letters; a digest has lower-case ones"},
    {"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bF", EINVAL,
     "has capital letters"},
    {"sha256:" A "F", EINVAL, "has capital letters"},
    {"sha256:" A "G", EINVAL, "byte 72 of the digest"},
    {"sha256:g" A, EINVAL, "byte 8 of the digest \"sha256:g"},
    {"sha256:" A "\n", EINVAL, "\\x0a\" is no hexadecimal digit"},
    {"sha256:" A " ", EINVAL, "byte 72"},
    {"sha256:../../../../../../../../../../../../../../../../../../../etc/pass", EINVAL, "byte 8 "},
    {"sha256:" A "/../../x", EINVAL, "byte 72 of"},
    {"sha256:sha256:" A, EINVAL, "byte 8 of the digest \"sha256:sha256:"},
    {"sha256:\xd0\xb5", EINVAL, "\"sha256:\\xd0\\xb5\" is no hexadecimal digit"},
};

TEST(what_is_no_digest_is_refused_by_name)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        struct cl_digest got = digest(B);
        struct cl_error err = {0};

        CHECK(cl_digest_parse(wrong[i].text, &got, &err) == -wrong[i].errnum);
        CHECK(err.code == wrong[i].errnum);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK_TEXT(got.hex, B); /* untouched */
    }
}

TEST(digests_are_equal_when_all_digits_are)
{
    const struct cl_digest a = digest(A);
    const struct cl_digest same = digest(A);
    struct cl_digest other = digest(A);

    CHECK(cl_digest_equal(&a, &same));
    other.hex[63] = 'c';
    CHECK(!cl_digest_equal(&a, &other));
    other = a;
    other.hex[0] = '0';
    CHECK(!cl_digest_equal(&a, &other));
}

TEST(a_digest_of_bytes_is_sha256)
{
    struct cl_digest got;

    cl_digest_of("", 0, &got);
    CHECK_TEXT(got.hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cl_digest_of("abc", 3, &got);
    CHECK_TEXT(got.hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cl_digest_of("a\0b", 1, &got);
    CHECK_TEXT(got.hex, A);
}

TEST(a_chain_is_named_by_all_below_it)
{
    const struct cl_digest a = digest(A);
    const struct cl_digest b = digest(B);
    const struct cl_digest c = digest(C);
    struct cl_digest chain;

    cl_chain_id(NULL, &a, &chain);
    CHECK_TEXT(chain.hex, A);
    cl_chain_id(&chain, &b, &chain); /* in place */
    CHECK_TEXT(chain.hex, A_B);
    cl_chain_id(&chain, &c, &chain);
    CHECK_TEXT(chain.hex, A_B_C);

    struct cl_digest swapped;
    cl_chain_id(&b, &a, &swapped);
    CHECK(strcmp(swapped.hex, A_B) != 0);
    struct cl_digest diff = b;
    cl_chain_id(&a, &diff, &diff);
    CHECK_TEXT(diff.hex, A_B);
}

/* The same bytes as an archive and as a module are two layers. */
TEST(a_modules_chain_is_no_archives)
{
    struct cl_digest digest;
    struct cl_digest archive;
    struct cl_digest module;
    struct cl_digest again;

    cl_digest_of("a", 1, &digest);
    cl_chain_id(NULL, &digest, &archive);
    cl_chain_id_of_module(&digest, &module);
    CHECK(!cl_digest_equal(&archive, &module));
    cl_digest_of("application/wasm "
                 "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
                 88, &again);
    CHECK(cl_digest_equal(&again, &module));
    cl_chain_id_of_module(&digest, &digest); /* may be the same */
    CHECK(cl_digest_equal(&digest, &module));
}

TEST(foreign_text_is_shown_as_its_bytes)
{
    char quoted[CL_QUOTE_SIZE];
    char text[2 * CL_QUOTE_SIZE];

    CHECK(cl_quote("", quoted) == quoted);
    CHECK_TEXT(quoted, "");
    CHECK_TEXT(cl_quote("a ~!\\'", quoted), "a ~!\\'");
    CHECK_TEXT(cl_quote("a\"\n\x7f\x80\xe2\x80\xae\xff", quoted),
               "a\\x22\\x0a\\x7f\\x80\\xe2\\x80\\xae\\xff");
    CHECK_TEXT(cl_quote_part("ab\0c", 4, quoted), "ab\\x00c");
    CHECK_TEXT(cl_quote_part("abc", 2, quoted), "ab");

    memset(text, 'x', sizeof(text));
    (void)cl_quote_part(text, CL_QUOTE_MAX, quoted);
    CHECK(strlen(quoted) == CL_QUOTE_MAX && quoted[CL_QUOTE_MAX - 1] == 'x');
    (void)cl_quote_part(text, CL_QUOTE_MAX + 1, quoted);
    CHECK(strlen(quoted) == CL_QUOTE_SIZE - 1);
    CHECK_TEXT(quoted + CL_QUOTE_MAX - 1, "x...");
    text[CL_QUOTE_MAX - 3] = '\n'; /* would be cut within */
    (void)cl_quote_part(text, sizeof(text), quoted);
    CHECK_TEXT(quoted + CL_QUOTE_MAX - 4, "x...");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_digest_is_its_digits),
        ROW(what_is_no_digest_is_refused_by_name),
        ROW(digests_are_equal_when_all_digits_are),
        ROW(a_digest_of_bytes_is_sha256),
        ROW(a_chain_is_named_by_all_below_it),
        ROW(a_modules_chain_is_no_archives),
        ROW(foreign_text_is_shown_as_its_bytes),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
