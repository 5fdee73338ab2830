/* Names of images: taken apart from the outside in (digest, domain, tag, repository), each
 * part then looked at by itself, so that an error can say which of them is wrong. */
#include "oci/reference.h"

#include <errno.h>
#include <string.h>

#include "oci/quote.h"

enum { NAME_MOST = 255, TAG_MOST = 128 };

static const char legacy_domain[] = "index.docker.io"; /* docker.io's name of old */
static const char official[] = "library/"; /* where docker.io has repositories of one part */
static const char digest_start[] = "sha256:";

/* Of the text that is parsed, or of a constant; what follows it is not a NUL. */
struct part {
    const char *text;
    size_t size;
};

struct parts {
    const char *whole;  /* as it was given */
    struct part domain; /* as it was given, or the default */
    struct part path;
    struct part tag;    /* text is NULL: none */
    const char *digest; /* NULL: none */
    int is_official;    /* library/ goes before path */
};

static int is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static int is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || is_upper(c);
}

static int part_is(struct part part, const char *text)
{
    return part.size == strlen(text) && memcmp(part.text, text, part.size) == 0;
}

static int has_upper(struct part part)
{
    for (size_t i = 0; i < part.size; i++) {
        if (is_upper(part.text[i]))
            return 1;
    }
    return 0;
}

/* --- what is no image's name at all -------------------------------------------- */

/* Names of files are what people try first; "//" is half of a URL. */
static int is_path(const char *text)
{
    return text[0] == '~' || (text[0] == '/' && text[1] != '/') || strcmp(text, ".") == 0 ||
           strcmp(text, "..") == 0 || strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0;
}

/* USER@HOST/NAME or USER:PASSWORD@HOST/NAME. */
static int has_credentials(const char *text)
{
    const char *at = strchr(text, '@');

    return at != NULL && strchr(at, '/') != NULL &&
           strncmp(at + 1, digest_start, strlen(digest_start)) != 0;
}

/* The size of "https://" and the like, and of a bare "//"; 0: TEXT begins with neither. */
static size_t scheme_size(const char *text)
{
    size_t size = 0;

    while (is_alnum(text[size]) || (text[size] != '\0' && strchr("+.-", text[size]) != NULL))
        size++;
    if (size > 0 && strncmp(text + size, "://", 3) == 0)
        return size + 3;
    return strncmp(text, "//", 2) == 0 ? 2 : 0;
}

/* An image's ID for Docker in some places, in others a name (and tag) on docker.io. */
static int is_bare_digest(const char *text)
{
    size_t start =
        strncmp(text, digest_start, strlen(digest_start)) == 0 ? strlen(digest_start) : 0;
    size_t size = strspn(text + start, "0123456789abcdef");

    return size == CL_SHA256_HEX_SIZE - 1 && text[start + size] == '\0';
}

static int check_bytes(const char *text, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    for (size_t i = 0; text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == ' ')
            return cl_refuse(err, EINVAL, "the image's name \"%s\" has a space in it",
                             cl_quote(text, quoted));
        if (byte < 0x20 || byte >= 0x7f)
            return cl_refuse(err, EINVAL,
                             "byte %zu of the image's name \"%s\" is 0x%02x; such a name is plain "
                             "ASCII",
                             i + 1, cl_quote(text, quoted), (unsigned int)byte);
    }
    return 0;
}

static int check_scheme(const char *text, struct cl_error *err)
{
    size_t size = scheme_size(text);
    char scheme[CL_QUOTE_SIZE];
    char rest[CL_QUOTE_SIZE];

    if (size == 0)
        return 0;
    (void)cl_quote_part(text, size, scheme);
    if (text[size] == '\0' || text[size] == '/')
        return cl_refuse(err, EINVAL,
                         "\"%s\" is not part of an image's name, and no host follows it", scheme);
    return cl_refuse(err, EINVAL, "\"%s\" is not part of an image's name: say \"%s\"", scheme,
                     cl_quote(text + size, rest));
}

static int check_whole(const char *text, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    if (text[0] == '\0')
        return cl_refuse(err, EINVAL, "the image's name is empty; say one like debian:bookworm");
    if (is_path(text))
        return cl_refuse(err, EINVAL,
                         "\"%s\" is a path and not an image's name; a directory is rootfs:DIR or "
                         "oci:DIR, an archive oci-archive:FILE or docker-archive:FILE",
                         cl_quote(text, quoted));
    /* Before all that would show it: a password is nothing for logs. */
    if (has_credentials(text))
        return cl_refuse(err, EINVAL,
                         "an image's name has no user or password in it: leave out what is before "
                         "the host, and the \"@\"");
    int r = check_bytes(text, err);
    if (r == 0)
        r = check_scheme(text, err);
    if (r == 0 && is_bare_digest(text))
        r = cl_refuse(err, EINVAL,
                      "the digest \"%s\" doesn't say of which repository: say NAME@sha256:DIGITS",
                      cl_quote(text, quoted));
    return r;
}

/* --- the parts ----------------------------------------------------------------- */

/* The size of the separator that TEXT, of SIZE bytes, begins with; 0: it is none. */
static size_t separator_size(const char *text, size_t size)
{
    size_t run = 1;

    while (run < size && text[run] == text[0])
        run++;
    return text[0] == '-' || run == 1 || (run == 2 && text[0] == '_') ? run : 0;
}

/* COMPONENT has no other bytes than letters, digits and those of separators. */
static int is_well_separated(struct part component)
{
    const char *text = component.text;
    size_t size = 0;

    for (size_t i = 0; i < component.size; i += size) {
        size = 1;
        if (is_alnum(text[i]))
            continue;
        size = separator_size(text + i, component.size - i);
        if (i == 0 || size == 0 || i + size == component.size || !is_alnum(text[i + size]))
            return 0;
    }
    return 1;
}

/* What stands between two slashes; capitals are let through. */
static int check_component(struct part component, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    if (component.size == 0)
        return cl_refuse(err, EINVAL, "nothing follows a slash");
    if (part_is(component, ".") || part_is(component, ".."))
        return cl_refuse(err, EINVAL, "a repository's name is no path: it has no \"%s\"",
                         cl_quote_part(component.text, component.size, quoted));
    for (size_t i = 0; i < component.size; i++) {
        if (!is_alnum(component.text[i]) && strchr("._-", component.text[i]) == NULL)
            return cl_refuse(err, EINVAL, "\"%s\" can't be in a repository's name",
                             cl_quote_part(component.text + i, 1, quoted));
    }
    if (!is_well_separated(component))
        return cl_refuse(err, EINVAL,
                         "in \"%s\", one of \".\", \"_\", \"__\" or dashes can stand between "
                         "letters or digits, and nowhere else",
                         cl_quote_part(component.text, component.size, quoted));
    return 0;
}

/* The path has capitals and is right but for them: so is what is shown of the text up to its
 * end, byte for byte. */
static int refuse_capitals(const struct parts *parts, struct cl_error *err)
{
    char meant[CL_QUOTE_SIZE];
    size_t start = (size_t)(parts->path.text - parts->whole);
    size_t end = start + parts->path.size;

    /* A first part that is a domain for its capitals only was hardly meant as one. */
    if (start > 0 && strcspn(parts->whole, ".:") >= start)
        start = 0;
    size_t shown = strlen(cl_quote(parts->whole, meant)); /* which may have been cut */
    for (size_t i = start; i < end && i < shown; i++) {
        if (is_upper(meant[i]))
            meant[i] = (char)(meant[i] - 'A' + 'a');
    }
    return cl_refuse(err, EINVAL, "repository names are lower case: did you mean \"%s\"?", meant);
}

static int check_path(const struct parts *parts, struct cl_error *err)
{
    const struct part path = parts->path;
    size_t start = 0;
    size_t total = parts->domain.size + 1 + (parts->is_official ? strlen(official) : 0) + path.size;

    if (path.size == 0)
        return cl_refuse(err, EINVAL, "the repository is missing");
    while (start <= path.size) {
        const char *text = path.text + start;
        const char *slash = memchr(text, '/', path.size - start);
        size_t size = slash == NULL ? path.size - start : (size_t)(slash - text);
        int r = check_component((struct part){text, size}, err);

        if (r < 0)
            return r;
        start += size + 1;
    }
    if (total > NAME_MOST)
        return cl_refuse(err, ENAMETOOLONG,
                         "it is %zu bytes long without tag and digest, more than %d", total,
                         NAME_MOST);
    return has_upper(path) ? refuse_capitals(parts, err) : 0;
}

static int check_tag(struct part tag, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];

    if (tag.text == NULL)
        return 0;
    if (tag.size == 0)
        return cl_refuse(err, EINVAL, "no tag follows the \":\"");
    if (tag.size > TAG_MOST)
        return cl_refuse(err, ENAMETOOLONG, "the tag is %zu bytes long, more than %d", tag.size,
                         TAG_MOST);
    for (size_t i = 0; i < tag.size; i++) {
        char c = tag.text[i];

        if (!is_alnum(c) && c != '_' && (i == 0 || (c != '.' && c != '-')))
            return cl_refuse(err, EINVAL, "\"%s\" can't %s a tag",
                             cl_quote_part(tag.text + i, 1, quoted), i == 0 ? "begin" : "be in");
    }
    return 0;
}

static int check_digest(const char *text, struct cl_reference *ret, struct cl_error *err)
{
    if (text == NULL)
        return 0;
    if (text[0] == '\0')
        return cl_refuse(err, EINVAL, "no digest follows the \"@\"");
    ret->has_digest = 1;
    return cl_digest_parse(text, &ret->digest, err);
}

static int check_parts(const struct parts *parts, struct cl_reference *ret, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];
    int r = check_digest(parts->digest, ret, err);

    if (r == 0)
        r = cl_domain_check(parts->domain.text, parts->domain.size, err);
    if (r == 0)
        r = check_tag(parts->tag, err);
    if (r == 0)
        r = check_path(parts, err);
    return r < 0 ? cl_prefix(err, "the image's name \"%s\"", cl_quote(parts->whole, quoted)) : 0;
}

/* --- parsing --------------------------------------------------------------------- */

static struct parts take_apart(const char *text, const char *default_domain)
{
    size_t size = strcspn(text, "@");
    const char *slash = memchr(text, '/', size);
    struct parts parts = {
        .whole = text,
        .domain = {default_domain, strlen(default_domain)},
        .path = {text, size},
        .digest = text[size] == '@' ? text + size + 1 : NULL,
    };

    if (slash != NULL && cl_domain_is_meant(text, (size_t)(slash - text))) {
        parts.domain = (struct part){text, (size_t)(slash - text)};
        parts.path = (struct part){slash + 1, size - parts.domain.size - 1};
    }
    if (part_is(parts.domain, legacy_domain))
        parts.domain = (struct part){CL_DOCKER_DOMAIN, strlen(CL_DOCKER_DOMAIN)};

    slash = memrchr(parts.path.text, '/', parts.path.size);
    const char *name = slash == NULL ? parts.path.text : slash + 1;
    const char *end = parts.path.text + parts.path.size;
    const char *colon = memchr(name, ':', (size_t)(end - name));
    if (colon != NULL) {
        parts.tag = (struct part){colon + 1, (size_t)(end - colon) - 1};
        parts.path.size = (size_t)(colon - parts.path.text);
    }
    parts.is_official = slash == NULL && part_is(parts.domain, CL_DOCKER_DOMAIN);
    return parts;
}

static int check_default(const char *domain, struct cl_error *err)
{
    char quoted[CL_QUOTE_SIZE];
    int r = cl_domain_check(domain, strlen(domain), err);

    if (r == 0 && !cl_domain_is_meant(domain, strlen(domain)))
        r = cl_refuse(err, EINVAL, "a name's first part is a host when it has a dot or a port");
    return r < 0 ? cl_prefix(err, "the default registry \"%s\"", cl_quote(domain, quoted)) : 0;
}

static const char *domain_or_docker(const char *domain)
{
    return domain == NULL || strcmp(domain, legacy_domain) == 0 ? CL_DOCKER_DOMAIN : domain;
}

static int copy(const struct parts *parts, struct cl_arena *arena, struct cl_reference *ret,
                struct cl_error *err)
{
    struct part tag = parts->tag;

    if (tag.text == NULL && parts->digest == NULL)
        tag = (struct part){"latest", strlen("latest")};
    ret->domain = cl_arena_strndup(arena, parts->domain.text, parts->domain.size);
    ret->repository = cl_arena_printf(arena, "%s%.*s", parts->is_official ? official : "",
                                      (int)parts->path.size, parts->path.text);
    ret->tag = tag.text == NULL ? NULL : cl_arena_strndup(arena, tag.text, tag.size);
    if (ret->domain == NULL || ret->repository == NULL || (tag.text != NULL && ret->tag == NULL))
        return cl_fail_memory(err);
    return 0;
}

int cl_reference_parse(const char *text, const char *default_domain, struct cl_arena *arena,
                       struct cl_reference *ret, struct cl_error *err)
{
    struct cl_reference found = {0};
    const char *domain = domain_or_docker(default_domain);
    int r = check_default(domain, err);

    if (r == 0)
        r = check_whole(text, err);
    if (r < 0)
        return r;
    struct parts parts = take_apart(text, domain);
    r = check_parts(&parts, &found, err);
    if (r == 0)
        r = copy(&parts, arena, &found, err);
    if (r == 0)
        *ret = found;
    return r;
}

/* --- formatting -------------------------------------------------------------------- */

/* NAME, with tag and digest behind it. */
static const char *join(const struct cl_reference *reference, const char *domain,
                        const char *repository, struct cl_arena *arena)
{
    char digest[CL_DIGEST_TEXT_SIZE] = "";

    if (reference->has_digest)
        (void)cl_digest_format(&reference->digest, digest);
    return cl_arena_printf(arena, "%s%s%s%s%s%s%s", domain, domain[0] == '\0' ? "" : "/",
                           repository, reference->tag == NULL ? "" : ":",
                           reference->tag == NULL ? "" : reference->tag,
                           reference->has_digest ? "@" : "", digest);
}

const char *cl_reference_text(const struct cl_reference *reference, struct cl_arena *arena)
{
    return join(reference, reference->domain, reference->repository, arena);
}

const char *cl_reference_familiar(const struct cl_reference *reference, const char *default_domain,
                                  struct cl_arena *arena)
{
    const char *domain = domain_or_docker(default_domain);
    const char *name = reference->repository;
    const size_t skip = strlen(official);

    if (strcmp(reference->domain, domain) != 0)
        return cl_reference_text(reference, arena);
    if (strcmp(domain, CL_DOCKER_DOMAIN) == 0 && strncmp(name, official, skip) == 0 &&
        strchr(name + skip, '/') == NULL)
        name += skip;
    /* Parsed alone, "foo.bar/baz" would be on the host foo.bar, and "sha256:<hex>" a digest. */
    const char *slash = strchr(name, '/');
    if ((slash != NULL && cl_domain_is_meant(name, (size_t)(slash - name))) ||
        strcmp(name, "sha256") == 0)
        return cl_reference_text(reference, arena);
    return join(reference, "", name, arena);
}

const char *cl_reference_host(const char *domain)
{
    return strcmp(domain, CL_DOCKER_DOMAIN) == 0 ? "registry-1.docker.io" : domain;
}
