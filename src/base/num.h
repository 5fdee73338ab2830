/* num.h - numbers as people write them, parsed once and strictly.
 *
 * Each function takes the whole string (no leading blanks, signs or rests) and
 * returns 0, or -EINVAL (not such a number) or -ERANGE (does not fit), writing the
 * output only on success. The caller says in its message which option it was.
 */
#ifndef CL_BASE_NUM_H
#define CL_BASE_NUM_H

#include "base/defs.h"

/* Decimal digits only. */
int cl_parse_u64(const char *text, uint64_t *ret);

/* Octal digits only, for file modes. */
int cl_parse_octal(const char *text, uint32_t *ret);

/* Bytes: "1048576", "512m", "1GiB", "1.5g", ".5g". k, m, g, t and their KiB.. forms are
 * powers of 1024, as Docker has them; a "b" may follow. */
int cl_parse_size(const char *text, uint64_t *ret_bytes);

/* Time: "10s", "1.5m", "500ms", "1h30m", a plain number is seconds. */
int cl_parse_duration(const char *text, uint64_t *ret_ns);

/* CPUs: "2", "1.5", ".5", "0.01", in thousandths of a CPU. */
int cl_parse_millicpus(const char *text, uint64_t *ret_millicpus);

/* The largest unit in which the amount is a whole number, for messages; the amount is
 * changed to that number: 67108864 becomes 64 and "MiB". */
const char *cl_size_unit(uint64_t *bytes);
const char *cl_duration_unit(uint64_t *ns);

/* "64MiB", "1000 bytes"; returns RET. */
enum { CL_SIZE_TEXT = 32 };
const char *cl_size_text(uint64_t bytes, char ret[CL_SIZE_TEXT]);

/* To a tenth of the largest unit that it reaches, for people: "812 B", "31.2 MiB"; rounded down,
 * so that what is under way is never called whole. Returns RET. */
const char *cl_size_about(uint64_t bytes, char ret[CL_SIZE_TEXT]);

#endif
