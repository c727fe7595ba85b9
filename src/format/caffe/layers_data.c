/* layers_data.c - Caffe's layers that give data, and those that only look at it. */
#include "format/caffe/layers.h"

const struct caffe_row caffe_data[] = {
    { "Input", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "Data", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "ImageData", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "HDF5Data", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "MemoryData", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "WindowData", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "DummyData", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "AnnotatedData", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "VideoData", NULL, 0, 0, CAFFE_SOURCE, NULL },
    { "HDF5Output", NULL, 0, CAFFE_ANY, CAFFE_DROP, NULL },
    { "Accuracy", NULL, 0, CAFFE_ANY, CAFFE_DROP, NULL },
    { "DetectionEvaluate", NULL, 0, CAFFE_ANY, CAFFE_DROP, NULL },
    { "Silence", NULL, 0, CAFFE_ANY, 0, NULL },
    { 0 },
};
