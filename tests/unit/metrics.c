/* metrics.c - measures of predictions against the answers of scikit-learn 1.2.1 for the same numbers. */
#include "tap.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/sorter.h"
#include "metric/confusion.h"
#include "metric/detection.h"
#include "metric/ranking.h"
#include "metric/regression.h"

static struct arena arena = { .mem = &mem_default };
static struct err err;

TEST(sizes_that_cannot_be)
{
    struct confusion c;
    CHECK(confusion_init(&c, &arena, 0, &err) == ERR_USAGE);
    err_clear(&err);
    CHECK(confusion_init(&c, &arena, (int64_t)1 << 40, &err) == ERR_USAGE);
}

/* Of two classes, of which the second is scored. */
static double area(const float *scores, const bool *positive, int n)
{
    struct roc r;
    double areas[2];
    CHECK_OK(roc_init(&r, &arena, 2, NULL, &err), &err);
    for (int i = 0; i < n; i++)
        CHECK_OK(roc_add(&r, (const double[]){ 1 - scores[i], scores[i] }, positive[i], &err), &err);
    CHECK_OK(roc_areas(&r, areas, &err), &err);
    CHECK(areas[0] == areas[1] || isnan(areas[0]));
    return roc_mean(areas, 2);
}

TEST(nothing_is_nan)
{
    struct confusion c;
    struct regression r;
    CHECK_OK(confusion_init(&c, &arena, 3, &err), &err);
    CHECK(isnan(confusion_measure(&c).accuracy));
    CHECK_OK(regression_init(&r, &arena, 1, &err), &err);
    CHECK(isnan(regression_measure(&r, 0).r2));
    CHECK(isnan(area((const float[]){ 1, 2 }, (const bool[]){ true, true }, 2)));
    CHECK(isnan(area((const float[]){ NAN, NAN }, (const bool[]){ true, false }, 2)));
}

/* accuracy_score, balanced_accuracy_score, precision_score ... */
TEST(classes)
{
    static const int truth[] = { 2, 3, 0, 3, 1, 2, 2, 1, 3, 0, 1, 1, 2, 1, 0, 0, 0, 0, 0, 3, 0, 2, 3, 0, 1, 1, 1, 3, 0,
        3, 3, 3, 0, 1, 2, 1, 2, 2, 2, 0 };
    static const int guess[] = { 2, 3, 2, 3, 3, 0, 2, 2, 2, 0, 0, 1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 1, 3, 0, 3, 1, 1, 3, 0,
        2, 3, 3, 0, 3, 2, 2, 2, 2, 0, 0 };
    struct confusion c;
    CHECK_OK(confusion_init(&c, &arena, 6, &err), &err); /* two classes never occur */
    for (int i = 0; i < 40; i++) confusion_add(&c, truth[i], guess[i], 1);
    struct confusion_measures m = confusion_measure(&c);
    CHECK_NEAR(m.accuracy, 0.65, 1e-15);
    CHECK_NEAR(m.balanced, 0.6416666666666666, 1e-15);
    CHECK_NEAR(m.precision, 0.6482683982683982, 1e-15);
    CHECK_NEAR(m.recall, 0.6416666666666666, 1e-15);
    CHECK_NEAR(m.f1, 0.6339743589743589, 1e-15);
    CHECK_NEAR(m.f1_weighted, 0.6407692307692308, 1e-15);
    CHECK_NEAR(m.mean_iou, 0.47172619047619047, 1e-15);
}

static void keep(struct sorter *to, const struct detected *found, size_t count)
{
    static uint64_t order;
    for (size_t i = 0; i < count; i++) {
        struct detection d = { found[i].score, order++, (int32_t)found[i].class, found[i].matched, found[i].outside };
        CHECK_OK(sorter_add(to, &d, &err), &err);
    }
}

/* By hand, after COCO's definition. Image 1: a hit of IoU 0.87 and a miss; image 2: a hit of IoU 0.62. Precision at the
 * 101 recalls: to 0.5 it is 1, beyond 2/3 where the second hit counts, else 0. */
TEST(average_precision)
{
    struct detected truth[2] = { { .box = { 0, 0, 100, 100 } }, { .box = { 0, 0, 100, 100 } } };
    struct detected first[2] = { { .score = 0.8, .box = { 500, 0, 600, 100 } },
        { .score = 0.9, .box = { 0, 0, 87, 100 } } };
    struct detected second[1] = { { .score = 0.7, .box = { 0, 0, 62, 100 } } };
    struct detection_measures m;
    struct sorter *all = detection_sorter(&arena, NULL, &err);
    CHECK(all);
    CHECK_OK(detection_match(&truth[0], 1, first, 2, &arena, &err), &err);
    CHECK_NEAR(first[0].score, 0.9, 0); /* sorted */
    CHECK_INT(first[0].matched, 0xff);  /* 0.50 to 0.85 */
    CHECK_INT(first[1].matched, 0);
    keep(all, first, 2);
    CHECK_OK(detection_match(&truth[1], 1, second, 1, &arena, &err), &err);
    CHECK_INT(second[0].matched, 7); /* 0.50, 0.55, 0.60 */
    keep(all, second, 1);
    CHECK_OK(detection_measure(all, (const uint64_t[]){ 2, 0 }, 2, &arena, &m, &err), &err);
    CHECK_NEAR(m.ap50, (51 + 50 * 2.0 / 3) / 101, 1e-12);
    CHECK_NEAR(m.ap75, 51.0 / 101, 1e-12);
    CHECK_NEAR(m.ap, (3 * (51 + 50 * 2.0 / 3) + 5 * 51) / 101 / 10, 1e-12);
    CHECK_NEAR(m.recall, (3 * 1 + 5 * 0.5) / 10, 1e-12);
    CHECK(isnan(m.class_ap[1])); /* no truth of that class */
    all = detection_sorter(&arena, NULL, &err);
    CHECK(all);
    CHECK_OK(detection_measure(all, (const uint64_t[]){ 0 }, 1, &arena, &m, &err), &err);
    CHECK(isnan(m.ap));
}

/* By the public cocoeval.py of pycocotools (COCOeval, "bbox", area "all") for the same random boxes. */
TEST(average_precision_as_pycocotools)
{
    static const struct {
        int image, class;
        double box[4];
    } truths[] = {
        { 0, 0, { 25, 54, 36, 81 } }, { 0, 0, { 39, 38, 51, 62 } }, { 0, 0, { 11, 55, 45, 69 } },
        { 0, 1, { 5, 56, 37, 87 } }, { 1, 0, { 46, 9, 77, 20 } }, { 1, 1, { 1, 0, 25, 30 } },
        { 1, 1, { 28, 7, 59, 25 } }, { 1, 0, { 7, 23, 43, 54 } }, { 2, 2, { 29, 17, 68, 56 } },
        { 3, 0, { 20, 53, 56, 76 } }, { 3, 2, { 43, 8, 77, 42 } }, { 3, 1, { 54, 38, 83, 52 } },
        { 3, 1, { 27, 7, 52, 25 } }, { 4, 0, { 41, 29, 75, 37 } }, { 5, 1, { 54, 47, 67, 64 } },
        { 5, 2, { 27, 12, 44, 31 } }, { 5, 0, { 33, 21, 62, 59 } }, { 5, 0, { 51, 55, 82, 88 } },
        { 6, 0, { 59, 18, 98, 54 } }, { 6, 2, { 45, 40, 73, 75 } }, { 6, 1, { 18, 9, 35, 30 } },
        { 7, 1, { 58, 27, 94, 43 } }, { 7, 2, { 25, 44, 63, 71 } }, { 7, 1, { 43, 5, 72, 29 } },
        { 7, 0, { 28, 47, 62, 73 } }, { 8, 0, { 49, 30, 71, 50 } }, { 8, 0, { 49, 58, 83, 66 } },
        { 8, 0, { 12, 4, 32, 35 } }, { 9, 2, { 54, 46, 66, 68 } }, { 9, 1, { 46, 5, 62, 42 } },
        { 10, 0, { 46, 9, 57, 32 } }, { 11, 0, { 11, 47, 30, 59 } }, { 11, 2, { 22, 45, 48, 56 } },
    };
    static const struct {
        int image, class;
        double score, box[4];
    } boxes[] = {
        { 0, 0, 0.45, { 28, 51, 37, 81 } }, { 0, 2, 0.35, { 0, 34, 32, 51 } },
        { 1, 0, 0.10, { 8, 23, 42, 54 } }, { 1, 2, 0.30, { 27, 4, 54, 13 } },
        { 2, 2, 0.85, { 28, 19, 67, 58 } }, { 2, 2, 0.20, { 30, 19, 69, 56 } },
        { 3, 2, 0.45, { 42, 8, 78, 43 } }, { 4, 0, 0.55, { 44, 28, 79, 39 } },
        { 4, 0, 0.90, { 44, 30, 76, 40 } }, { 4, 1, 0.45, { 15, 49, 45, 69 } },
        { 5, 1, 0.35, { 36, 7, 65, 41 } }, { 6, 0, 0.10, { 59, 20, 95, 58 } },
        { 6, 2, 0.35, { 43, 39, 68, 73 } }, { 6, 1, 0.10, { 21, 6, 35, 25 } },
        { 6, 2, 0.55, { 19, 18, 27, 39 } }, { 7, 2, 0.85, { 26, 42, 61, 68 } },
        { 7, 2, 0.85, { 22, 45, 58, 75 } }, { 7, 1, 0.90, { 40, 2, 70, 28 } },
        { 7, 1, 0.40, { 45, 8, 73, 33 } }, { 7, 0, 0.20, { 31, 50, 67, 76 } },
        { 7, 0, 0.25, { 26, 46, 57, 70 } }, { 8, 0, 0.15, { 46, 59, 83, 65 } },
        { 8, 2, 0.30, { 11, 1, 33, 31 } }, { 8, 1, 0.85, { 55, 5, 68, 19 } },
        { 9, 2, 0.85, { 53, 47, 68, 66 } }, { 9, 2, 0.30, { 39, 14, 53, 52 } },
        { 10, 0, 0.10, { 21, 6, 49, 14 } }, { 11, 0, 0.40, { 11, 49, 32, 63 } },
        { 11, 2, 0.90, { 20, 42, 47, 52 } },
    };
    struct sorter *all = detection_sorter(&arena, NULL, &err);
    struct detection_measures m;
    uint64_t count[3] = { 0 };
    CHECK(all);
    for (int image = 0; image < 12; image++) {
        struct detected truth[33], found[29];
        size_t n_truth = 0, n = 0;
        for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
            if (truths[i].image != image) continue;
            truth[n_truth] = (struct detected){ .class = truths[i].class };
            memcpy(truth[n_truth++].box, truths[i].box, sizeof truths[i].box);
            count[truths[i].class]++;
        }
        for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
            if (boxes[i].image != image) continue;
            found[n] = (struct detected){ .class = boxes[i].class, .score = boxes[i].score };
            memcpy(found[n++].box, boxes[i].box, sizeof boxes[i].box);
        }
        CHECK_OK(detection_match(truth, n_truth, found, n, &arena, &err), &err);
        keep(all, found, n);
    }
    CHECK_OK(detection_measure(all, count, 3, &arena, &m, &err), &err);
    CHECK_NEAR(m.ap, 0.150498464681633, 1e-15);
    CHECK_NEAR(m.ap50, 0.31226360731311226, 1e-15);
    CHECK_NEAR(m.ap75, 0.093142647598093126, 1e-15);
    CHECK_NEAR(m.recall, 0.25190476190476191, 1e-15);
    CHECK_NEAR(m.class_ap[0], 0.11993674367436744, 1e-15);
    CHECK_NEAR(m.class_ap[1], 0.061056105610561046, 1e-15);
    CHECK_NEAR(m.class_ap[2], 0.27050254475997043, 1e-15);
}

/* Each truth is taken once, by the best score; what meets an ignored one counts neither way; classes do not mix. */
TEST(boxes_meet_once)
{
    struct detected truth[3] = { { .class = 1, .box = { 0, 0, 10, 10 } },
        { .class = 1, .ignored = true, .box = { 20, 0, 30, 10 } }, { .class = 2, .box = { 40, 0, 50, 10 } } };
    struct detected found[5] = { { .class = 1, .score = 0.5, .box = { 0, 0, 10, 10 } },
        { .class = 1, .score = 0.6, .box = { 0, 0, 10, 9 } }, { .class = 1, .score = 0.4, .box = { 20, 0, 30, 10 } },
        { .class = 1, .score = 0.3, .box = { 40, 0, 50, 10 } },
        { .class = 2, .score = 0.2, .box = { 40, 0, 50, 10 } } };
    CHECK_OK(detection_match(truth, 3, found, 5, &arena, &err), &err);
    CHECK_INT(found[0].matched, 0x1ff); /* IoU 0.9: all but 0.95 */
    CHECK_INT(found[1].matched, 0x200); /* the same box at 0.95, where the first one does not meet it */
    CHECK_INT(found[2].outside, 0x3ff);
    CHECK_INT(found[3].matched | found[3].outside, 0);
    CHECK_INT(found[4].matched, 0x3ff);
}

/* roc_auc_score, with many ties */
TEST(area_under_the_curve)
{
    static const float scores[] = { 0.51f, 0.97f, 0.5f, 0.51f, 0.5f, 0.97f, 0.51f, 0.51f, 0.07f, 0.51f, 0.52f, 0.97f,
        0.96f, 0.51f, 0.95f, 0.07f, 0.97f, 0.07f, 0.51f, 0.05f, 0.97f, 0.95f, 0.07f, 0.5f, 0.5f, 0.5f, 0.51f, 0.05f,
        0.95f, 0.5f, 0.52f, 0.05f, 0.05f, 0.06f, 0.5f, 0.97f, 0.97f, 0.51f, 0.51f, 0.51f };
    static const bool positive[] = { 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0,
        1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1 };
    CHECK_NEAR(area(scores, positive, 40), 0.8787878787878789, 1e-15);
}

/* log_loss */
TEST(loss_of_probabilities)
{
    static const double p[6][3] = { { 0.015111111111111112, 0.21955555555555556, 0.7653333333333333 },
        { 0.1486854034451496, 0.6255666364460561, 0.2257479601087942 },
        { 0.07051282051282051, 0.20512820512820512, 0.7243589743589743 },
        { 0.3337765957446808, 0.3650265957446808, 0.30119680851063824 },
        { 0.16270783847980996, 0.2897862232779097, 0.5475059382422802 },
        { 0.16962025316455698, 0.6185654008438818, 0.21181434599156118 } };
    static const int class[] = { 0, 2, 1, 1, 2, 0 };
    double sum = 0;
    for (int i = 0; i < 6; i++) sum += cross_entropy(p[i], 3, class[i], false);
    CHECK_NEAR(sum / 6, 1.7748568962628328, 1e-14);
    CHECK_NEAR(cross_entropy((const double[]){ 1000, 0 }, 2, 0, true), 0, 0);
    CHECK_NEAR(cross_entropy((const double[]){ 1000, 0 }, 2, 1, true), 1000, 0);
    CHECK_NEAR(cross_entropy((const double[]){ 1, 0 }, 2, 1, false), 36.04365338911715, 1e-12);
    CHECK_INT(rank_of((const double[]){ 3, 5, 3, 1 }, 4, 2), 2);
}

/* mean_absolute_error, mean_squared_error, r2_score */
TEST(numbers)
{
    static const double truth[8][2] = { { -1.337, -1.045 }, { 1.45, -0.54 }, { -2.104, -0.581 }, { 0, 1.189 },
        { -1.014, 0.667 }, { 0.795, -0.699 }, { -0.188, 1.769 }, { 1.72, 0.856 } };
    static const double guess[8][2] = { { -1.237, -0.704 }, { 1.408, -0.569 }, { -2.362, -0.579 }, { -0.025, 2.021 },
        { -1.072, 1.048 }, { 1.191, -0.755 }, { 0.163, 1.116 }, { 1.748, 1.113 } };
    struct regression r;
    CHECK_OK(regression_init(&r, &arena, 2, &err), &err);
    for (int i = 0; i < 8; i++) regression_add(&r, truth[i], guess[i]);
    struct regression_measures m = regression_measure(&r, -1);
    CHECK_NEAR(m.mae, 0.23806249999999998, 1e-14);
    CHECK_NEAR(m.mse, 0.11332643749999997, 1e-14);
    CHECK_NEAR(m.r2, 0.8905895698636663, 1e-14);
    CHECK_NEAR(regression_measure(&r, 0).r2, 0.9718805, 1e-7);
    struct regression flat;
    CHECK_OK(regression_init(&flat, &arena, 1, &err), &err);
    for (int i = 0; i < 3; i++) regression_add(&flat, (const double[]){ 2 }, (const double[]){ 2 });
    CHECK_NEAR(regression_measure(&flat, 0).r2, 1, 0);
}
