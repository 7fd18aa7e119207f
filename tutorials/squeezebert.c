/* SqueezeBERT with all its heads in C99: a port, written from the page on golden kits and a kit.
 *
 *     cc -std=c99 -O2 -Wall -Wextra -Werror squeezebert.c -lm -o squeezebert
 *     ./squeezebert KIT MINE.safetensors
 *
 * Reads the kit's config, weights and inputs, runs every case, and writes each quantity under the
 * name that the kit has for it. Shapes as in the kit's manifest: B sentences, T tokens, D hidden
 * width, H heads, S width of a head, D = H*S, I feed-forward width, V vocabulary, L labels.
 *
 * All numbers are float32, the ids included. kit.h beside this file reads JSON and safetensors.
 */
#include <float.h>

#include "kit.h"

/* ---- operations: each records what it gives, under the path of the module that it is ----------- */

typedef struct {
    Tensors weights, inputs, results;
    const char *body;      /* "transformer." where the model has a head: its body's path */
    const char *case_name; /* that is run at present */
    long heads, layers;
    float layer_norm_eps;
} Model;

static Tensor record(Model *m, const char *path, Tensor x)
{
    add(&m->results, text("%s/%s", m->case_name, path), x);
    return x;
}

static Tensor parameter(const Model *m, const char *path, const char *name)
{
    char *whole = text("%s.%s", path, name);
    const Tensor *found = find(&m->weights, whole);
    if (!found) fail("the weights have no %s", whole);
    return *found;
}

/* x [..., I] -> [..., O], with a matrix for each of G groups of channels: weight [O, I/G] or
 * [O, I/G, 1]. A linear map is one with a single group. */
static Tensor multiply(Tensor x, Tensor weight, Tensor bias)
{
    long I = last(x), O = weight.shape[0], inner = weight.shape[1], outer = O / (I / inner);
    Tensor y = x;
    y.shape[x.rank - 1] = O;
    y = like(y);
    for (long row = 0; row < size_of(x) / I; row++)
        for (long o = 0; o < O; o++) {
            const float *group = x.data + row * I + o / outer * inner;
            float sum = bias.data[o];
            for (long i = 0; i < inner; i++) sum += group[i] * weight.data[o * inner + i];
            y.data[row * O + o] = sum;
        }
    return y;
}

static Tensor linear(Model *m, const char *path, Tensor x)
{
    return record(m, path, multiply(x, parameter(m, path, "weight"), parameter(m, path, "bias")));
}

static Tensor layer_norm(Model *m, const char *path, Tensor x, float epsilon)
{
    Tensor weight = parameter(m, path, "weight"), bias = parameter(m, path, "bias"), y = like(x);
    long D = last(x);
    for (long row = 0; row < size_of(x); row += D) {
        float mean = 0, variance = 0;
        for (long d = 0; d < D; d++) mean += x.data[row + d] / (float)D;
        for (long d = 0; d < D; d++) variance += powf(x.data[row + d] - mean, 2) / (float)D;
        for (long d = 0; d < D; d++)
            y.data[row + d] = (x.data[row + d] - mean) / sqrtf(variance + epsilon) * weight.data[d] + bias.data[d];
    }
    return record(m, path, y);
}

static Tensor gelu(Model *m, const char *path, Tensor x)
{
    Tensor y = like(x);
    for (long i = 0; i < size_of(x); i++)
        y.data[i] = x.data[i] * (1 + erff(x.data[i] / sqrtf(2))) / 2;
    return record(m, path, y);
}

static Tensor softmax(Tensor x)
{
    Tensor y = like(x);
    long N = last(x);
    for (long row = 0; row < size_of(x); row += N) {
        float most = -INFINITY, sum = 0;
        for (long n = 0; n < N; n++) most = fmaxf(most, x.data[row + n]);
        for (long n = 0; n < N; n++) sum += expf(x.data[row + n] - most);
        for (long n = 0; n < N; n++) y.data[row + n] = expf(x.data[row + n] - most) / sum;
    }
    return y;
}

static Tensor sum_of(Tensor x, Tensor y)
{
    Tensor sum = like(x);
    for (long i = 0; i < size_of(x); i++) sum.data[i] = x.data[i] + y.data[i];
    return sum;
}

/* ---- SqueezeBERT ------------------------------------------------------------------------------- */

/* ids [B, T] -> [B, T, D] */
static Tensor rows(Model *m, const char *path, const char *name, Tensor ids)
{
    Tensor table = parameter(m, path, "weight");
    long D = last(table);
    Tensor y = tensor(3, ids.shape[0], ids.shape[1], D, 1);
    for (long i = 0; i < size_of(ids); i++) {
        if (ids.data[i] < 0 || ids.data[i] >= (float)table.shape[0]) fail("%s: no row %g", path, ids.data[i]);
        memcpy(y.data + i * D, table.data + (long)ids.data[i] * D, (size_t)D * sizeof(float));
    }
    return record(m, name, y);
}

static Tensor embeddings(Model *m, Tensor ids, Tensor types, Tensor positions)
{
    char *path = text("%sembeddings", m->body);
    Tensor word = rows(m, text("%s.word_embeddings", path), text("%s.words", path), ids);
    Tensor place = rows(m, text("%s.position_embeddings", path), text("%s.positions", path), positions);
    Tensor type = rows(m, text("%s.token_type_embeddings", path), text("%s.types", path), types);
    Tensor summed = record(m, text("%s.summed", path), sum_of(sum_of(word, place), type));
    return layer_norm(m, text("%s.LayerNorm", path), summed, m->layer_norm_eps);
}

/* query, key, value [B, T, D], mask [B, T] -> [B, T, D] */
static Tensor attend(Model *m, const char *path, Tensor query, Tensor key, Tensor value, Tensor mask)
{
    long B = query.shape[0], T = query.shape[1], D = query.shape[2], H = m->heads, S = D / H;
    Tensor scores = tensor(4, B, H, T, T), masked = like(scores), context = tensor(4, B, T, H, S);
    for (long i = 0; i < size_of(scores); i++) {
        long b = i / (H * T * T), h = i / (T * T) % H, t = i / T % T, u = i % T;
        float sum = 0;
        for (long s = 0; s < S; s++)
            sum += query.data[(b * T + t) * D + h * S + s] * key.data[(b * T + u) * D + h * S + s];
        scores.data[i] = sum / sqrtf((float)S);
        /* Added, and finite, so that a row of padding alone has some softmax, too. */
        masked.data[i] = scores.data[i] + (mask.data[b * T + u] ? 0 : -FLT_MAX);
    }
    record(m, text("%s.scores", path), scores);
    record(m, text("%s.masked_scores", path), masked);
    Tensor probs = record(m, text("%s.probs", path), softmax(masked));
    for (long i = 0; i < size_of(context); i++) {
        long b = i / (T * D), t = i / D % T, h = i / S % H, s = i % S;
        float sum = 0;
        for (long u = 0; u < T; u++)
            sum += probs.data[((b * H + h) * T + t) * T + u] * value.data[(b * T + u) * D + h * S + s];
        context.data[i] = sum;
    }
    record(m, text("%s.context", path), context);
    context.rank = 3; /* the heads side by side: the same numbers in the same order */
    context.shape[2] = D;
    return context;
}

/* [B, T, D] -> [B, T, D]. The epsilon of the layers' norms is fixed, whatever the config says. */
static Tensor layer(Model *m, const char *path, Tensor x, Tensor mask)
{
    const float epsilon = 1e-12f;
    char *attention = text("%s.attention", path), *after = text("%s.post_attention", path);
    Tensor query = linear(m, text("%s.query", attention), x);
    Tensor key = linear(m, text("%s.key", attention), x);
    Tensor value = linear(m, text("%s.value", attention), x);
    Tensor context = attend(m, text("%s.attend", attention), query, key, value, mask);
    Tensor projected = linear(m, text("%s.conv1d", after), context);
    x = layer_norm(m, text("%s.layernorm", after), sum_of(x, projected), epsilon);
    Tensor wide = gelu(m, text("%s.wide", path), linear(m, text("%s.intermediate.conv1d", path), x));
    Tensor narrow = linear(m, text("%s.output.conv1d", path), wide);
    return layer_norm(m, text("%s.output.layernorm", path), sum_of(x, narrow), epsilon);
}

/* [B, T, D] -> [B, D] */
static Tensor pool(Model *m, Tensor x)
{
    long B = x.shape[0], T = x.shape[1], D = x.shape[2];
    Tensor first = tensor(2, B, D, 1, 1);
    for (long b = 0; b < B; b++) memcpy(first.data + b * D, x.data + b * T * D, (size_t)D * sizeof(float));
    Tensor dense = linear(m, text("%spooler.dense", m->body), first), pooled = like(dense);
    for (long i = 0; i < size_of(dense); i++) pooled.data[i] = tanhf(dense.data[i]);
    return record(m, text("%spooler", m->body), pooled);
}

/* [B, T, D] -> [B, T, V]: by the similarity to the embedding of each word piece */
static void masked_lm(Model *m, Tensor x)
{
    const char *path = "cls.predictions";
    Tensor dense = linear(m, text("%s.transform.dense", path), x);
    Tensor activated = gelu(m, text("%s.activated", path), dense);
    x = layer_norm(m, text("%s.transform.LayerNorm", path), activated, m->layer_norm_eps);
    Tensor table = parameter(m, text("%sembeddings.word_embeddings", m->body), "weight"); /* tied */
    record(m, text("%s.decoder", path), multiply(x, table, parameter(m, path, "bias")));
}

/* [B, T, 2] -> [B, T]: one of the two numbers of each token */
static Tensor column(Tensor x, long which)
{
    Tensor y = tensor(2, x.shape[0], x.shape[1], 1, 1);
    for (long i = 0; i < size_of(y); i++) y.data[i] = x.data[2 * i + which];
    return y;
}

static void head(Model *m, const char *architecture, Tensor x, Tensor ids)
{
    if (!strcmp(architecture, "SqueezeBertModel")) {
        pool(m, x);
    } else if (!strcmp(architecture, "SqueezeBertForMaskedLM")) {
        masked_lm(m, x);
    } else if (!strcmp(architecture, "SqueezeBertForSequenceClassification")) {
        linear(m, "classifier", pool(m, x));
    } else if (!strcmp(architecture, "SqueezeBertForTokenClassification")) {
        linear(m, "classifier", x);
    } else if (!strcmp(architecture, "SqueezeBertForMultipleChoice")) {
        Tensor logits = linear(m, "classifier", pool(m, x)); /* [Q*N, 1], which becomes [Q, N] */
        logits.shape[0] = ids.shape[0];
        logits.shape[1] = ids.shape[1];
        record(m, "logits", logits);
    } else if (!strcmp(architecture, "SqueezeBertForQuestionAnswering")) {
        Tensor both = linear(m, "qa_outputs", x);
        record(m, "start_logits", column(both, 0));
        record(m, "end_logits", column(both, 1));
    } else {
        fail("the architecture is %s, expected a SqueezeBERT", architecture);
    }
}

/* ---- every case of the kit --------------------------------------------------------------------- */

/* Return an input of the case as [B, T]. Without it all tokens count, are of type 0, in order. */
static Tensor input(const Model *m, const char *argument, Tensor ids, float otherwise, float step)
{
    const Tensor *given = find(&m->inputs, text("%s/%s", m->case_name, argument));
    long T = last(ids);
    Tensor x = tensor(2, size_of(ids) / T, T, 1, 1); /* choices are sentences like any others */
    for (long i = 0; i < size_of(x); i++) x.data[i] = given ? given->data[i] : otherwise + step * (float)(i % T);
    return x;
}

static void run(Model *m, const char *architecture, Tensor ids)
{
    Tensor mask = input(m, "attention_mask", ids, 1, 0);
    Tensor x = embeddings(m, input(m, "input_ids", ids, 0, 0), input(m, "token_type_ids", ids, 0, 0),
                          input(m, "position_ids", ids, 0, 1));
    for (long i = 0; i < m->layers; i++) x = layer(m, text("%sencoder.layers.%ld", m->body, i), x, mask);
    head(m, architecture, x, ids);
}

int main(int count, char **arguments)
{
    Model m = {{NULL, 0}, {NULL, 0}, {NULL, 0}, "", "", 0, 0, 0};
    size_t size;
    if (count != 3) {
        fprintf(stderr, "usage: squeezebert KIT MINE.safetensors\n");
        return 2;
    }
    const char *kit = arguments[1];
    const char *manifest = (char *)read_file(text("%s/manifest.json", kit), &size);
    const char *config = member(manifest, "config");
    char *architecture = json_text(member(manifest, "architecture"));
    char *activation = json_text(member(config, "hidden_act"));
    if (strcmp(activation, "gelu")) fail("hidden_act is %s, expected gelu", activation);
    m.body = strcmp(architecture, "SqueezeBertModel") ? "transformer." : "";
    m.heads = strtol(member(config, "num_attention_heads"), NULL, 10);
    m.layers = strtol(member(config, "num_hidden_layers"), NULL, 10);
    m.layer_norm_eps = strtof(member(config, "layer_norm_eps"), NULL);
    m.weights = read_tensors(text("%s/%s", kit, json_text(member(manifest, "weights"))));
    m.inputs = read_tensors(text("%s/inputs.safetensors", kit));
    for (size_t i = 0; i < m.inputs.count; i++) {
        char *slash = strchr(m.inputs.all[i].name, '/');
        if (!slash || strcmp(slash, "/input_ids")) continue;
        m.case_name = text("%.*s", (int)(slash - m.inputs.all[i].name), m.inputs.all[i].name);
        run(&m, architecture, m.inputs.all[i].tensor);
    }
    write_tensors(arguments[2], &m.results);
    return 0;
}
