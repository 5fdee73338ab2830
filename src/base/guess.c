#include "base/guess.h"

#include <string.h>

enum { MAX_WORD = 48, NEAR = 2, LEAST_START = 3 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau's distance (swaps of neighbours count once), by the usual table; both words
 * are at most MAX_WORD long. */
static size_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    unsigned char rows[MAX_WORD + 1][MAX_WORD + 1];

    for (size_t i = 0; i <= a_size; i++) {
        for (size_t j = 0; j <= b_size; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = (unsigned char)(i + j);
                continue;
            }
            size_t change = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
            size_t value = least(change, least(rows[i - 1][j], rows[i][j - 1]) + 1);

            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                value = least(value, rows[i - 2][j - 2] + 1U);
            rows[i][j] = (unsigned char)value;
        }
    }
    return rows[a_size][b_size];
}

static void take(struct cl_guess *guess, const char *candidate, size_t distance)
{
    if (guess->best == NULL || distance < guess->distance)
        *guess = (struct cl_guess){candidate, distance};
}

void cl_guess_try(struct cl_guess *guess, const char *word, const char *candidate)
{
    size_t word_size = strlen(word);
    size_t size = strlen(candidate);

    if (word_size == 0 || word_size > MAX_WORD || size > MAX_WORD)
        return;
    size_t distance = edit_distance(word, word_size, candidate, size);
    if (distance <= NEAR && distance * 2 <= size)
        take(guess, candidate, distance);
}

void cl_guess_try_start(struct cl_guess *guess, const char *word, const char *candidate)
{
    size_t word_size = strlen(word);
    size_t size = strlen(candidate);
    size_t common = least(word_size, size);

    cl_guess_try(guess, word, candidate);
    if (common < LEAST_START || word_size > MAX_WORD || size > MAX_WORD ||
        strncmp(word, candidate, common) != 0)
        return;
    take(guess, candidate, NEAR + 1 + (word_size > size ? word_size - size : size - word_size));
}
