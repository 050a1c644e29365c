/* Fine-tunes a plan on pictures in memory, is interrupted, goes on, predicts: finetune PLAN FOLDER
 *   cc finetune.c $(pkg-config --cflags --libs pocketune) */
#include <pocketune.h>
#include <stdio.h>
#include <stdlib.h>

enum { kSamples = 64 };

static void check(ptn_status status) {
  if (status == PTN_OK) return;
  fprintf(stderr, "finetune: %s\n", ptn_last_error());
  exit(1);
}

/* Not 0 saves and stops: here after the epoch that `user` names, in an app when the user leaves. */
static int32_t on_progress(void* user, const ptn_progress* p) {
  if (p->epoch_ended) printf("epoch %d: loss %.4f\n", (int)p->epoch, p->loss);
  return p->epoch_ended && p->epoch == *(const int64_t*)user;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  ptn_session_options threads = {.struct_size = sizeof threads, .threads = 2};
  ptn_tensor_info image = {.struct_size = sizeof image}, logits = {.struct_size = sizeof logits};
  ptn_session* session;
  check(ptn_session_open(argv[1], &threads, &session));
  check(ptn_session_input(session, "predict", 0, &image));   /* f32[1, height, width, channels] */
  check(ptn_session_output(session, "predict", 0, &logits)); /* f32[1, classes] */

  /* Two classes: dark pictures and bright ones. The library reads these arrays where they are. */
  const size_t pixels = (size_t)image.elements;
  float* pictures = malloc(kSamples * pixels * sizeof *pictures);
  float* scores = malloc((size_t)logits.bytes);
  int32_t labels[kSamples];
  if (!pictures || !scores) return 1;
  for (size_t i = 0; i < kSamples * pixels; ++i) pictures[i] = i / pixels % 2 ? 0.8f : -0.8f;
  for (int i = 0; i < kSamples; ++i) labels[i] = i % 2;
  ptn_samples* samples;
  check(ptn_samples_create(kSamples, &samples));
  check(ptn_samples_add(samples, "image", pictures, pixels * sizeof *pictures));
  check(ptn_samples_add(samples, "label", labels, sizeof *labels));
  int64_t last_epoch = 1;
  ptn_trainer_options how = {.struct_size = sizeof how, .lr = 0.05, .epochs = 4};
  how.folder = argv[2], how.progress = on_progress, how.user = &last_epoch;
  ptn_trainer* trainer;
  check(ptn_trainer_create(session, samples, &how, &trainer));
  check(ptn_trainer_run(trainer, NULL));
  check(ptn_trainer_free(trainer));
  check(ptn_session_free(session));
  last_epoch = -1; /* another process could do the rest */
  check(ptn_session_open(argv[1], &threads, &session));
  check(ptn_trainer_create(session, samples, &how, &trainer));
  check(ptn_trainer_restore(trainer));
  check(ptn_trainer_run(trainer, NULL));
  check(ptn_session_bind_in(session, "predict", "image", pictures + pixels, (size_t)image.bytes));
  check(ptn_session_predict_in(session, "predict")); /* one picture, whatever the batch */
  check(ptn_session_read(session, "predict", "logits", scores, (size_t)logits.elements));
  printf("a bright picture: class %d\n", scores[1] > scores[0]);
  return 0;
}
