/* Checks a port's file by a golden kit, for those who have a C compiler and no Python.
 *
 *     cc -std=c99 -O2 -Wall -Wextra -Werror check_kit.c -lm -o check_kit
 *     ./check_kit KIT MINE.safetensors
 *
 * Compares every tensor that was given with the kit's value, by the rules of the page on golden kits,
 * and says for each case which one is the first to leave its tolerance. The manifest says for each
 * classic mistake where that is: those that agree in all cases are named. Exit status: 0 where all is
 * right, 1 where something is wrong, 2 where nothing could be compared.
 *
 * `npbert golden check` does more: it recomputes each step from your own values, so that it finds
 * all mistakes at once, and tells one from another by the values themselves.
 */
#define NUMBER double
#define FAILED 2
#include "kit.h"

typedef struct {
    const char *name;
    long B, T;
    int *real;      /* [B, T]: which positions hold a token */
    int *undefined; /* [B]: rows of padding alone, not compared once the mask has been applied */
    int padded;     /* whether there is any padding */
} Case;

static int is(const char *value, const char *word) { return !strncmp(value, word, strlen(word)); }

static Case read_case(const char *value)
{
    Case c = {json_text(member(value, "name")), 0, 0, NULL, NULL, 0};
    const char *rows = member(value, "real"), *row, *entry, *at;
    for (at = rows; next_element(&at, &row);) c.B++;
    for (at = rows, next_element(&at, &row), at = row; next_element(&at, &entry);) c.T++;
    c.real = room((size_t)(c.B * c.T) * sizeof(int));
    c.undefined = room((size_t)c.B * sizeof(int));
    for (long b = 0; b < c.B && next_element(&rows, &row); b++) {
        c.undefined[b] = 0;
        for (long t = 0; t < c.T && next_element(&row, &entry); t++) {
            c.real[b * c.T + t] = is(entry, "true");
            c.padded |= !c.real[b * c.T + t];
        }
    }
    for (at = member(value, "undefined_rows"); next_element(&at, &entry);) {
        long b = strtol(entry, NULL, 10);
        if (b >= 0 && b < c.B) c.undefined[b] = 1;
    }
    return c;
}

/* Return the first axis of that name and size, or -1. */
static int axis_of(const char *tensor, const char *letter, long size, const long *shape)
{
    const char *at = member(tensor, "axes"), *name;
    if (is(at, "null")) return -1;
    for (int axis = 0; next_element(&at, &name); axis++)
        if (!strcmp(json_text(name), letter)) return shape[axis] == size ? axis : -1;
    return -1;
}

/* Return the largest error in tolerances, above 1 where a tensor has left them; -1 where it does not
 * fit into its dtype. `error` and `most` become the error and the tolerance that decide. */
static double compare(const char *tensor, Case c, Tensor mine, Tensor expected, double *error, double *most)
{
    const char *of_case = member(member(tensor, "cases"), c.name), *at = member(of_case, "shape"), *size;
    const char *dtype = !strcmp(mine.dtype, "F16") ? "float16" : !strcmp(mine.dtype, "BF16") ? "bfloat16" : "float32";
    const char *tolerance = member(member(of_case, "tolerance"), dtype);
    long shape[AXES] = {1, 1, 1, 1, 1}, step[AXES] = {1, 1, 1, 1, 1};
    int rank = 0;
    *error = *most = 0;
    while (rank < AXES && next_element(&at, &size)) shape[rank++] = strtol(size, NULL, 10);
    /* What the kit holds once, since it is the same for all texts, may have been written for each. */
    if (rank != mine.rank) return *error = INFINITY;
    for (int axis = 0; axis < rank; axis++)
        if (shape[axis] != mine.shape[axis] && shape[axis] != 1) return *error = INFINITY;
    if (is(tolerance, "null")) return -1;
    const char *sampled = find_member(tensor, "sampled");
    if (sampled) { /* the kit holds every so many-th entry along an axis, counted from the end */
        long axis = strtol(member(sampled, "axis"), NULL, 10);
        step[axis < 0 ? axis + rank : axis] = strtol(member(sampled, "step"), NULL, 10);
    }
    double limits[2], errors[2] = {0, 0};
    const char *of_padded = find_member(tolerance, "expected_padded");
    limits[0] = strtod(member(tolerance, "expected"), NULL);
    limits[1] = of_padded ? strtod(of_padded, NULL) : limits[0];
    int rows = axis_of(tensor, "B", c.B, shape), tokens = axis_of(tensor, "T", c.T, shape);
    int depends = is(member(tensor, "depends_on_mask"), "true"), unmasked = 0;
    for (long i = 0; i < size_of(mine); i++) {
        long place[AXES], rest = i, from = 0;
        int held = 1, undefined = 0, padded = c.padded;
        for (int axis = rank - 1; axis >= 0; axis--) {
            place[axis] = rest % mine.shape[axis];
            rest /= mine.shape[axis];
            held &= place[axis] % step[axis] == 0;
        }
        if (!held) continue;
        for (int axis = 0; axis < rank; axis++)
            from = from * expected.shape[axis] + (expected.shape[axis] == 1 ? 0 : place[axis] / step[axis]);
        for (long b = 0; depends && b < c.B; b++) undefined |= c.undefined[b] && (rows < 0 || place[rows] == b);
        if (undefined) continue;
        if (rows >= 0 && tokens >= 0) padded = !c.real[place[rows] * c.T + place[tokens]];
        double value = mine.data[i], wanted = expected.data[from];
        if (wanted < -1e30) { /* a masked score */
            unmasked |= !(value <= -1e4);
            continue;
        }
        double off = fabs(value - wanted);
        if (isnan(off)) off = INFINITY;
        errors[padded] = fmax(errors[padded], off);
    }
    double worst = 0;
    for (int padded = 0; padded < 2; padded++) {
        double excess = !errors[padded] ? 0 : limits[padded] ? errors[padded] / limits[padded] : INFINITY;
        if (excess < worst || (excess == 0 && padded)) continue;
        worst = excess, *error = errors[padded], *most = limits[padded];
    }
    return unmasked ? (*error = INFINITY) : worst;
}

/* Return what was given of a tensor, under its name or an alias. */
static const Tensor *given(const Tensors *mine, const char *case_name, const char *tensor)
{
    const Tensor *found = find(mine, text("%s/%s", case_name, json_text(member(tensor, "name"))));
    const char *at = member(tensor, "aliases"), *alias;
    while (!found && next_element(&at, &alias)) found = find(mine, text("%s/%s", case_name, json_text(alias)));
    return found;
}

/* Tell whether a mistake that first shows in one tensor explains that another is the first wrong one
 * of those that were given: nothing between the two was. */
static int explains(const char *tensors, const Tensors *mine, const char *case_name, const char *shows, const char *first)
{
    int behind = 0;
    const char *at = tensors, *tensor;
    if (is(shows, "null") || !first) return is(shows, "null") && !first;
    char *wanted = json_text(shows);
    while (next_element(&at, &tensor)) {
        char *name = json_text(member(tensor, "name"));
        behind |= !strcmp(name, wanted);
        if (!strcmp(name, first)) return behind;
        if (behind && given(mine, case_name, tensor)) return 0;
    }
    return 0;
}

static void describe(const char *tensor, const char *case_name, double error, double most)
{
    const char *at = member(tensor, "inputs"), *input, *equation = member(tensor, "equation");
    printf("case %s: first wrong is %s: ", case_name, json_text(member(tensor, "name")));
    if (isinf(error)) printf("another shape, no finite number, or a score that is not masked\n");
    else printf("largest error %.1e, tolerance %.1e\n", error, most);
    if (*equation == '"') printf("  It is %s.\n", json_text(equation));
    printf("  npbert computes it in %s:%.*s. It is made of:\n", json_text(member(tensor, "file")),
           (int)strcspn(member(tensor, "line"), ",}"), member(tensor, "line"));
    while (next_element(&at, &input)) printf("    %s\n", json_text(input));
}

int main(int count, char **arguments)
{
    size_t size;
    if (count != 3) {
        fprintf(stderr, "usage: check_kit KIT MINE.safetensors\n");
        return 2;
    }
    const char *manifest = (char *)read_file(text("%s/manifest.json", arguments[1]), &size);
    const char *tensors = member(manifest, "tensors"), *cases = member(manifest, "cases"), *at, *value;
    Tensors expected = read_tensors(text("%s/expected.safetensors", arguments[1]));
    Tensors mine = read_tensors(arguments[2]);
    const char *names[64], *firsts[64]; /* of cases, and in each the first wrong tensor */
    int judged = 0, wrong = 0;
    while (judged < 64 && next_element(&cases, &value)) {
        Case c = read_case(value);
        long all = 0, there = 0;
        const char *first = NULL, *tensor;
        for (at = tensors; next_element(&at, &tensor); all++) {
            char *name = json_text(member(tensor, "name"));
            const Tensor *theirs = given(&mine, c.name, tensor), *ours = find(&expected, text("%s/%s", c.name, name));
            double error, most;
            if (!theirs || !ours) continue;
            there++;
            if (first || compare(tensor, c, *theirs, *ours, &error, &most) <= 1) continue;
            first = name;
            describe(tensor, c.name, error, most);
        }
        if (!there) continue;
        if (!first) printf("case %s: %ld of %ld tensors given, all right\n", c.name, there, all);
        names[judged] = c.name;
        firsts[judged++] = first;
        wrong |= first != NULL;
    }
    if (!judged) fail("%s: nothing in it has a name of the kit, CASE/NAME", arguments[2]);
    for (at = member(manifest, "mistakes"); wrong && next_element(&at, &value);) {
        int fits = 1;
        for (int i = 0; i < judged; i++)
            fits &= explains(tensors, &mine, names[i], member(member(value, "first_divergence"), names[i]), firsts[i]);
        if (fits) printf("It may be %s: %s.\n", json_text(member(value, "name")), json_text(member(value, "about")));
    }
    return wrong;
}
