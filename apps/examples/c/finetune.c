/* Fine-tunes a plan on pictures in memory, saves, restores, predicts: finetune PLAN CHECKPOINT
 *   cc finetune.c $(pkg-config --cflags --libs pocketune) */
#include <pocketune.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call)                                          \
  do {                                                     \
    if ((call) != PTN_OK) {                                \
      fprintf(stderr, "finetune: %s\n", ptn_last_error()); \
      return 1;                                            \
    }                                                      \
  } while (0)

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  ptn_session_options options = {.struct_size = sizeof options, .threads = 2};
  ptn_session* session;
  TRY(ptn_session_open(argv[1], &options, &session));

  ptn_tensor_info image = {.struct_size = sizeof image}, logits = {.struct_size = sizeof logits};
  TRY(ptn_session_input(session, "train", 0, &image));  /* f32[batch, height, width, channels] */
  TRY(ptn_session_output(session, "eval", 0, &logits)); /* f32[batch, classes] */
  const size_t batch = (size_t)image.dims[0], pixels = (size_t)image.elements / batch;

  /* Two classes: dark pictures and bright ones. The session reads these arrays in each step. */
  float* pictures = malloc((size_t)image.bytes);
  float* scores = malloc((size_t)logits.bytes);
  float* weights = malloc(batch * sizeof *weights);
  int32_t* labels = malloc(batch * sizeof *labels);
  if (!pictures || !scores || !weights || !labels) return 1;
  for (size_t i = 0; i < batch; ++i) {
    labels[i] = (int32_t)(i % 2);
    weights[i] = 1;
    for (size_t p = 0; p < pixels; ++p) pictures[i * pixels + p] = labels[i] ? 0.8f : -0.8f;
  }
  TRY(ptn_session_bind(session, "image", pictures, (size_t)image.bytes));
  TRY(ptn_session_bind(session, "label", labels, batch * sizeof *labels));
  TRY(ptn_session_bind(session, "weight", weights, batch * sizeof *weights));

  float loss = 0;
  for (int step = 1; step <= 20; ++step) {
    TRY(ptn_session_train_step(session, 0.05, &loss));
    if (step % 10 == 0) printf("step %d: loss %.4f\n", step, loss);
  }
  TRY(ptn_session_save(session, argv[2], NULL, 0));
  TRY(ptn_session_free(session));

  TRY(ptn_session_open(argv[1], NULL, &session)); /* as after a restart */
  TRY(ptn_session_restore(session, argv[2]));
  TRY(ptn_session_bind(session, "image", pictures, (size_t)image.bytes));
  TRY(ptn_session_predict(session));
  TRY(ptn_session_read(session, "eval", "logits", scores, (size_t)logits.elements));
  printf("a bright picture: class %d\n", scores[logits.dims[1] + 1] > scores[logits.dims[1]]);
  TRY(ptn_session_free(session));
  return 0;
}
