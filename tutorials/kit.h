/* What a program in C needs of a golden kit: JSON, and tensors in safetensors files.
 *
 * Include it once; `NUMBER` is what numbers are kept as, float unless defined before. Memory is never
 * given back: such programs end soon. C99, and no library but the standard one.
 */
#ifndef KIT_H
#define KIT_H

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef NUMBER
#define NUMBER float
#endif
#ifndef FAILED
#define FAILED 1 /* the exit status after `fail` */
#endif

static inline void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    exit(FAILED);
}

static inline void *room(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) fail("no memory for %lu bytes", (unsigned long)bytes);
    return memory;
}

/* Return a new text, written as printf does. */
static inline char *text(const char *format, ...)
{
    char *written;
    int length;
    va_list arguments;
    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    written = room((size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(written, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return written;
}

static inline unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes;
    long end;
    if (!file) fail("%s: %s", path, strerror(errno));
    if (fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
        fail("%s: its size is not known", path);
    *size = (size_t)end;
    bytes = room(*size + 1);
    if (fread(bytes, 1, *size, file) != *size) fail("%s: cannot be read", path);
    bytes[*size] = 0; /* so that a text ends */
    fclose(file);
    return bytes;
}

/* ---- JSON: no tree, only steps through the text; a value is where it begins ------------------- */

static inline const char *skip_space(const char *at) { return at + strspn(at, " \t\r\n"); }

/* Return what follows the value that begins here. */
static inline const char *skip_value(const char *at)
{
    if (*at == '"') {
        for (at++; *at && *at != '"'; at++)
            if (*at == '\\' && at[1]) at++;
        if (!*at) fail("JSON: a text does not end");
        return at + 1;
    }
    if (*at == '{' || *at == '[') {
        at = skip_space(at + 1);
        while (*at != '}' && *at != ']') {
            at = skip_space(skip_value(at));
            if (*at == ',' || *at == ':') at = skip_space(at + 1);
        }
        return at + 1;
    }
    if (!strcspn(at, ",:]} \t\r\n")) fail("JSON: a value is missing at \"%.20s\"", at);
    return at + strcspn(at, ",:]} \t\r\n"); /* a number, true, false or null */
}

static inline char *json_text(const char *value)
{
    const char *end = skip_value(value);
    if (*value != '"') fail("JSON: expected a text at \"%.20s\"", value);
    if (memchr(value, '\\', (size_t)(end - value))) fail("JSON: an escape in \"%.20s\"", value);
    return text("%.*s", (int)(end - value - 2), value + 1);
}

/* Step through an object: `at` is where the next member begins, at first the object itself. */
static inline int next_member(const char **at, char **name, const char **value)
{
    const char *here = skip_space(**at == '}' ? *at : *at + 1);
    if (*here != '"') return 0;
    *name = json_text(here);
    here = skip_space(skip_value(here));
    if (*here != ':') fail("JSON: expected a colon at \"%.20s\"", here);
    *value = skip_space(here + 1);
    *at = skip_space(skip_value(*value));
    return 1;
}

/* Step through a list: `at` is where the next element begins, at first the list itself. */
static inline int next_element(const char **at, const char **value)
{
    *value = skip_space(**at == ']' ? *at : *at + 1);
    if (!**value || **value == ']') return 0;
    *at = skip_space(skip_value(*value));
    return 1;
}

/* Return the value of a member, NULL where there is none of that name. */
static inline const char *find_member(const char *object, const char *wanted)
{
    const char *at = skip_space(object), *value;
    char *name;
    while (next_member(&at, &name, &value))
        if (!strcmp(name, wanted)) return value;
    return NULL;
}

static inline const char *member(const char *object, const char *wanted)
{
    const char *value = find_member(object, wanted);
    if (!value) fail("JSON: no \"%s\"", wanted);
    return value;
}

/* ---- tensors, and their files ------------------------------------------------------------------ */

enum { AXES = 5 }; /* as many as a tensor of a kit has at most */

typedef struct {
    int rank;
    long shape[AXES];
    NUMBER *data; /* the last axis fastest */
    const char *dtype; /* in the file that it was read from */
} Tensor;

typedef struct {
    char *name;
    Tensor tensor;
} Named;

typedef struct {
    Named *all;
    size_t count;
} Tensors;

static inline long size_of(Tensor x)
{
    long size = 1;
    for (int axis = 0; axis < x.rank; axis++) size *= x.shape[axis];
    return size;
}

static inline long last(Tensor x) { return x.shape[x.rank - 1]; }

static inline Tensor tensor(int rank, long a, long b, long c, long d)
{
    Tensor x = {rank, {a, b, c, d, 1}, NULL, "F32"};
    x.data = room((size_t)size_of(x) * sizeof(NUMBER));
    return x;
}

static inline Tensor like(Tensor x) { return tensor(x.rank, x.shape[0], x.shape[1], x.shape[2], x.shape[3]); }

static inline void add(Tensors *tensors, char *name, Tensor x)
{
    size_t bytes = (tensors->count + 1) * sizeof(Named);
    tensors->all = realloc(tensors->all, bytes);
    if (!tensors->all) fail("no memory for %lu bytes", (unsigned long)bytes);
    tensors->all[tensors->count].name = name;
    tensors->all[tensors->count++].tensor = x;
}

static inline const Tensor *find(const Tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->count; i++)
        if (!strcmp(tensors->all[i].name, name)) return &tensors->all[i].tensor;
    return NULL;
}

static inline uint64_t little_endian(const unsigned char *bytes, int count)
{
    uint64_t number = 0;
    while (count--) number = number << 8 | bytes[count];
    return number;
}

/* Return the number that begins here; its width in bytes is that of its dtype. */
static inline double number_at(const unsigned char *bytes, const char *dtype)
{
    uint64_t bits = little_endian(bytes, dtype[0] == 'B' || !strcmp(dtype, "F16") ? 2 : !strcmp(dtype, "F32") ? 4 : 8);
    if (!strcmp(dtype, "F16")) { /* a sign, 5 bits of exponent, 10 of mantissa */
        int exponent = bits >> 10 & 31, mantissa = bits & 1023;
        double size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                      : exponent     ? ldexp(mantissa + 1024, exponent - 25)
                                     : ldexp(mantissa, -24);
        return bits >> 15 ? -size : size;
    }
    if (!strcmp(dtype, "F32") || !strcmp(dtype, "BF16")) { /* BF16 is the upper half of an F32 */
        uint32_t single = dtype[0] == 'B' ? (uint32_t)bits << 16 : (uint32_t)bits;
        float number;
        memcpy(&number, &single, sizeof number);
        return number;
    }
    if (!strcmp(dtype, "F64")) {
        double number;
        memcpy(&number, &bits, sizeof number);
        return number;
    }
    return (double)(int64_t)bits;
}

/* A file is 8 bytes with the length of a header, the header in JSON, and the numbers. */
static inline Tensors read_tensors(const char *path)
{
    const char *dtypes[] = {"F16", "BF16", "F32", "F64", "I64"};
    const int widths[] = {2, 2, 4, 8, 8};
    Tensors tensors = {NULL, 0};
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    uint64_t length = size < 8 ? 0 : little_endian(bytes, 8);
    if (length < 2 || length > size - 8) fail("%s: no safetensors file", path);
    const unsigned char *numbers = bytes + 8 + length;
    uint64_t behind = size - 8 - length; /* bytes behind the header */
    char *header = text("%.*s", (int)length, (char *)bytes + 8), *name, *next;
    const char *at = skip_space(header), *entry;
    while (next_member(&at, &name, &entry)) {
        if (!strcmp(name, "__metadata__")) continue;
        Tensor x = {0, {1, 1, 1, 1, 1}, NULL, json_text(member(entry, "dtype"))};
        int kind = 0;
        while (kind < 5 && strcmp(x.dtype, dtypes[kind])) kind++;
        if (kind == 5) fail("%s: %s is %s, expected F16, BF16, F32, F64 or I64", path, name, x.dtype);
        const char *list = member(entry, "shape"), *element;
        while (next_element(&list, &element)) {
            if (x.rank == AXES) fail("%s: %s has more than %d axes", path, name, AXES);
            x.shape[x.rank++] = strtol(element, NULL, 10);
            if (x.shape[x.rank - 1] < 0) fail("%s: %s has a size below 0", path, name);
        }
        uint64_t start = strtoull(member(entry, "data_offsets") + 1, &next, 10);
        uint64_t end = strtoull(next + strspn(next, " ,"), NULL, 10);
        if (start > end || end > behind || end - start != (uint64_t)size_of(x) * (uint64_t)widths[kind])
            fail("%s: the numbers of %s are not where it says", path, name);
        x.data = room((size_t)size_of(x) * sizeof(NUMBER));
        for (long i = 0; i < size_of(x); i++)
            x.data[i] = (NUMBER)number_at(numbers + start + (uint64_t)(i * widths[kind]), x.dtype);
        add(&tensors, name, x);
    }
    return tensors;
}

static inline void put(FILE *file, uint64_t number, int count)
{
    for (; count--; number >>= 8) fputc((int)(number & 255), file);
}

static inline void write_tensors(const char *path, const Tensors *tensors)
{
    char *header = text("");
    long offset = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        Tensor x = tensors->all[i].tensor;
        char *shape = text("");
        for (int axis = 0; axis < x.rank; axis++)
            shape = text("%s%s%ld", shape, axis ? "," : "", x.shape[axis]);
        char *entry = text("\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%ld,%ld]}",
                           tensors->all[i].name, shape, offset, offset + 4 * size_of(x));
        header = text("%s%s%s", header, i ? "," : "", entry);
        offset += 4 * size_of(x);
    }
    header = text("{%s}", header);
    while (strlen(header) % 8) header = text("%s ", header); /* so that the numbers are aligned */
    FILE *file = fopen(path, "wb");
    if (!file) fail("%s: %s", path, strerror(errno));
    put(file, strlen(header), 8);
    fputs(header, file);
    for (size_t i = 0; i < tensors->count; i++)
        for (long k = 0; k < size_of(tensors->all[i].tensor); k++) {
            float number = (float)tensors->all[i].tensor.data[k];
            uint32_t bits;
            memcpy(&bits, &number, sizeof bits);
            put(file, bits, 4);
        }
    if (ferror(file) || fclose(file)) fail("%s: cannot be written", path);
}

#endif
