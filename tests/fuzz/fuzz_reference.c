/* fuzz_reference.c - names of images: any bytes are refused in one line, or are a name whose
 * canonical text and familiar one parse to the same again, whatever the default domain. The
 * same bytes are a digest, and a domain. */
#include <string.h>

#include "base/buf.h"
#include "oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const struct cl_error *err)
{
    CL_ASSERT(err->code > 0 && err->msg[0] != '\0');
    for (const char *p = err->msg; *p != '\0'; p++)
        CL_ASSERT(*p >= 0x20 && *p < 0x7f);
}

static int parses_to(const char *text, const char *default_domain,
                     const struct cl_reference *wanted, struct cl_arena *arena)
{
    struct cl_reference got;
    struct cl_error err = {0};

    return cl_reference_parse(text, default_domain, arena, &got, &err) == 0 &&
           strcmp(got.domain, wanted->domain) == 0 &&
           strcmp(got.repository, wanted->repository) == 0 &&
           (got.tag == NULL) == (wanted->tag == NULL) &&
           (got.tag == NULL || strcmp(got.tag, wanted->tag) == 0) &&
           got.has_digest == wanted->has_digest &&
           (!got.has_digest || cl_digest_equal(&got.digest, &wanted->digest));
}

/* What the URL of a request, or a file's name, is made of later. */
static void check_parts(const struct cl_reference *reference)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    const char *repository = reference->repository;
    size_t size = strlen(repository);

    CL_ASSERT(strlen(reference->domain) + 1 + size <= 255);
    CL_ASSERT(strpbrk(reference->domain, "/@ \\\"") == NULL && reference->domain[0] != '\0');
    for (const char *p = repository; *p != '\0'; p++)
        CL_ASSERT(strchr(lower, *p) != NULL || strchr("/._-", *p) != NULL);
    CL_ASSERT(strchr(lower, repository[0]) != NULL && strchr(lower, repository[size - 1]) != NULL);
    CL_ASSERT(strstr(repository, "..") == NULL && strstr(repository, "//") == NULL);
    CL_ASSERT(reference->has_digest || reference->tag != NULL);
    if (reference->tag != NULL) {
        CL_ASSERT(strlen(reference->tag) >= 1 && strlen(reference->tag) <= 128);
        CL_ASSERT(strpbrk(reference->tag, "/:@ ") == NULL && reference->tag[0] != '.');
    }
    if (reference->has_digest)
        CL_ASSERT(strspn(reference->digest.hex, "0123456789abcdef") == 64);
    CL_ASSERT(cl_reference_host(reference->domain)[0] != '\0');
}

static void try_name(const char *text, const char *default_domain)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
    struct cl_reference reference = {.domain = "untouched"};
    struct cl_error err = {0};

    if (cl_reference_parse(text, default_domain, &arena, &reference, &err) < 0) {
        check_message(&err);
        CL_ASSERT(strcmp(reference.domain, "untouched") == 0);
        return;
    }
    check_parts(&reference);

    const char *whole = cl_reference_text(&reference, &arena);
    const char *familiar = cl_reference_familiar(&reference, default_domain, &arena);
    CL_ASSERT(whole != NULL && familiar != NULL && strlen(familiar) <= strlen(whole));
    CL_ASSERT(parses_to(whole, NULL, &reference, &arena));
    CL_ASSERT(parses_to(whole, "quay.io", &reference, &arena));
    CL_ASSERT(parses_to(familiar, default_domain, &reference, &arena));
}

static void try_digest(const char *text)
{
    char again[CL_DIGEST_TEXT_SIZE];
    struct cl_digest digest;
    struct cl_error err = {0};

    if (cl_digest_parse(text, &digest, &err) < 0)
        check_message(&err);
    else
        CL_ASSERT(strcmp(cl_digest_format(&digest, again), text) == 0);
}

static void try_domain(const char *text)
{
    struct cl_error err = {0};
    int r = cl_domain_check(text, strlen(text), &err);

    if (r < 0)
        check_message(&err);
    if (cl_domain_is_loopback(text)) {
        CL_ASSERT(r == 0);
        CL_ASSERT(strncmp(text, "127.", 4) == 0 || strncmp(text, "[::1]", 5) == 0 ||
                  strncasecmp(text, "localhost", 9) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 16);

    if (cl_buf_add(&buf, data, size) < 0)
        return 0;
    const char *text = cl_buf_text(&buf);
    const char *slash = strchr(text, '/');
    try_name(text, NULL);
    try_name(text, "quay.io");
    try_digest(text);
    try_domain(text);
    if (slash != NULL)
        try_name(slash + 1, "[::1]:5000");
    try_name("debian", text);
    return 0;
}
