/* schema.c - Caffe's messages as tables: names for prototxt, numbers for caffemodel.
 *
 * What only trains (fillers, rates, loss settings) is known and skipped. Numbers from 149 on belong to forks, which do
 * not agree about them; these messages are read from text, and from the wire as the fork that made them known has it.
 */
#include "format/caffe/schema.h"

#define SCHEMA(id, title, ...) \
    static const struct tree_schema id = { title, (const struct tree_row[]){ __VA_ARGS__, { 0 } } }
#define INT(name, number) \
    { \
        name, number, TREE_INT, NULL, NULL \
    }
#define BOOL(name, number) \
    { \
        name, number, TREE_BOOL, NULL, NULL \
    }
#define REAL(name, number) \
    { \
        name, number, TREE_FLOAT, NULL, NULL \
    }
#define TEXT(name, number) \
    { \
        name, number, TREE_TEXT, NULL, NULL \
    }
#define ENUM(name, number, words) \
    { \
        name, number, TREE_ENUM, NULL, words \
    }
#define MSG(name, number, type) \
    { \
        name, number, TREE_MESSAGE, &type, NULL \
    }
#define SKIP(name, number) \
    { \
        name, number, TREE_SKIP, NULL, NULL \
    }

#define PHASES "TRAIN TEST"
#define POOLS "MAX AVE STOCHASTIC"

SCHEMA(blob_shape, "BlobShape", INT("dim", 1));
const struct tree_schema caffe_blob_schema = { "BlobProto",
    (const struct tree_row[]){ INT("num", 1), INT("channels", 2), INT("height", 3), INT("width", 4), REAL("data", 5),
        SKIP("diff", 6), MSG("shape", 7, blob_shape), { "double_data", 8, TREE_DOUBLE, NULL, NULL },
        SKIP("double_diff", 9), { 0 } } };
SCHEMA(net_state, "NetState", ENUM("phase", 1, PHASES), INT("level", 2), TEXT("stage", 3));
SCHEMA(state_rule, "NetStateRule", ENUM("phase", 1, PHASES), INT("min_level", 2), INT("max_level", 3), TEXT("stage", 4),
    TEXT("not_stage", 5));
SCHEMA(param_spec, "ParamSpec", TEXT("name", 1), SKIP("share_mode", 2), SKIP("lr_mult", 3), SKIP("decay_mult", 4));

SCHEMA(resize, "ResizeParameter", SKIP("prob", 1),
    ENUM("resize_mode", 2, "WARP=1 FIT_SMALL_SIZE FIT_LARGE_SIZE_AND_PAD"), INT("height", 3), INT("width", 4),
    SKIP("height_scale", 8), SKIP("width_scale", 9), SKIP("pad_mode", 5), SKIP("pad_value", 6), SKIP("interp_mode", 7));
SCHEMA(transform, "TransformationParameter", REAL("scale", 1), SKIP("mirror", 2), INT("crop_size", 3),
    TEXT("mean_file", 4), REAL("mean_value", 5), BOOL("force_color", 6), BOOL("force_gray", 7),
    MSG("resize_param", 8, resize), SKIP("noise_param", 9), SKIP("emit_constraint", 10), SKIP("crop_h", 11),
    SKIP("crop_w", 12), SKIP("distort_param", 13), SKIP("expand_param", 14));

SCHEMA(argmax, "ArgMaxParameter", BOOL("out_max_val", 1), INT("top_k", 2), INT("axis", 3));
SCHEMA(concat, "ConcatParameter", INT("concat_dim", 1), INT("axis", 2));
SCHEMA(
    batch_norm, "BatchNormParameter", BOOL("use_global_stats", 1), REAL("moving_average_fraction", 2), REAL("eps", 3));
SCHEMA(bias, "BiasParameter", INT("axis", 1), INT("num_axes", 2), SKIP("filler", 3));
SCHEMA(convolution, "ConvolutionParameter", INT("num_output", 1), BOOL("bias_term", 2), INT("pad", 3),
    INT("kernel_size", 4), INT("group", 5), INT("stride", 6), SKIP("weight_filler", 7), SKIP("bias_filler", 8),
    INT("pad_h", 9), INT("pad_w", 10), INT("kernel_h", 11), INT("kernel_w", 12), INT("stride_h", 13),
    INT("stride_w", 14), SKIP("engine", 15), INT("axis", 16), SKIP("force_nd_im2col", 17), INT("dilation", 18));
SCHEMA(crop, "CropParameter", INT("axis", 1), INT("offset", 2));
SCHEMA(data, "DataParameter", TEXT("source", 1), REAL("scale", 2), TEXT("mean_file", 3), SKIP("batch_size", 4),
    INT("crop_size", 5), SKIP("mirror", 6), SKIP("rand_skip", 7), SKIP("backend", 8), SKIP("force_encoded_color", 9),
    SKIP("prefetch", 10));
SCHEMA(dropout, "DropoutParameter", REAL("dropout_ratio", 1), BOOL("scale_train", 2));
SCHEMA(dummy, "DummyDataParameter", SKIP("data_filler", 1), INT("num", 2), INT("channels", 3), INT("height", 4),
    INT("width", 5), MSG("shape", 6, blob_shape));
SCHEMA(
    eltwise, "EltwiseParameter", ENUM("operation", 1, "PROD SUM MAX"), REAL("coeff", 2), SKIP("stable_prod_grad", 3));
SCHEMA(elu, "ELUParameter", REAL("alpha", 1));
SCHEMA(embed, "EmbedParameter", INT("num_output", 1), INT("input_dim", 2), BOOL("bias_term", 3),
    SKIP("weight_filler", 4), SKIP("bias_filler", 5));
SCHEMA(exponent, "ExpParameter", REAL("base", 1), REAL("scale", 2), REAL("shift", 3));
SCHEMA(flatten, "FlattenParameter", INT("axis", 1), INT("end_axis", 2));
SCHEMA(hdf5_data, "HDF5DataParameter", TEXT("source", 1), SKIP("batch_size", 2), SKIP("shuffle", 3));
SCHEMA(image_data, "ImageDataParameter", TEXT("source", 1), REAL("scale", 2), TEXT("mean_file", 3),
    SKIP("batch_size", 4), INT("crop_size", 5), SKIP("mirror", 6), SKIP("rand_skip", 7), SKIP("shuffle", 8),
    INT("new_height", 9), INT("new_width", 10), BOOL("is_color", 11), SKIP("root_folder", 12));
SCHEMA(inner_product, "InnerProductParameter", INT("num_output", 1), BOOL("bias_term", 2), SKIP("weight_filler", 3),
    SKIP("bias_filler", 4), INT("axis", 5), BOOL("transpose", 6));
SCHEMA(input, "InputParameter", MSG("shape", 1, blob_shape));
SCHEMA(logarithm, "LogParameter", REAL("base", 1), REAL("scale", 2), REAL("shift", 3));
SCHEMA(lrn, "LRNParameter", INT("local_size", 1), REAL("alpha", 2), REAL("beta", 3),
    ENUM("norm_region", 4, "ACROSS_CHANNELS WITHIN_CHANNEL"), REAL("k", 5), SKIP("engine", 6));
SCHEMA(memory_data, "MemoryDataParameter", INT("batch_size", 1), INT("channels", 2), INT("height", 3), INT("width", 4));
SCHEMA(mvn, "MVNParameter", BOOL("normalize_variance", 1), BOOL("across_channels", 2), REAL("eps", 3));
SCHEMA(parameter, "ParameterParameter", MSG("shape", 1, blob_shape));
SCHEMA(pooling, "PoolingParameter", ENUM("pool", 1, POOLS), INT("kernel_size", 2), INT("stride", 3), INT("pad", 4),
    INT("kernel_h", 5), INT("kernel_w", 6), INT("stride_h", 7), INT("stride_w", 8), INT("pad_h", 9), INT("pad_w", 10),
    SKIP("engine", 11), BOOL("global_pooling", 12), ENUM("round_mode", 13, "CEIL FLOOR"),
    BOOL("ceil_mode", 9990)); /* of text: forks do not agree on a number */
SCHEMA(power, "PowerParameter", REAL("power", 1), REAL("scale", 2), REAL("shift", 3));
SCHEMA(
    python, "PythonParameter", TEXT("module", 1), TEXT("layer", 2), TEXT("param_str", 3), SKIP("share_in_parallel", 4));
SCHEMA(recurrent, "RecurrentParameter", INT("num_output", 1), SKIP("weight_filler", 2), SKIP("bias_filler", 3),
    SKIP("debug_info", 4), BOOL("expose_hidden", 5));
SCHEMA(
    reduction, "ReductionParameter", ENUM("operation", 1, "SUM=1 ASUM SUMSQ MEAN"), INT("axis", 2), REAL("coeff", 3));
SCHEMA(relu, "ReLUParameter", REAL("negative_slope", 1), SKIP("engine", 2));
SCHEMA(reshape, "ReshapeParameter", MSG("shape", 1, blob_shape), INT("axis", 2), INT("num_axes", 3));
SCHEMA(scale, "ScaleParameter", INT("axis", 1), INT("num_axes", 2), SKIP("filler", 3), BOOL("bias_term", 4),
    SKIP("bias_filler", 5));
SCHEMA(slice, "SliceParameter", INT("slice_dim", 1), INT("slice_point", 2), INT("axis", 3));
SCHEMA(softmax, "SoftmaxParameter", SKIP("engine", 1), INT("axis", 2));
SCHEMA(swish, "SwishParameter", REAL("beta", 1));
SCHEMA(clip, "ClipParameter", REAL("min", 1), REAL("max", 2));
SCHEMA(tile, "TileParameter", INT("axis", 1), INT("tiles", 2));
SCHEMA(threshold, "ThresholdParameter", REAL("threshold", 1));
SCHEMA(window_data, "WindowDataParameter", TEXT("source", 1), REAL("scale", 2), TEXT("mean_file", 3),
    SKIP("batch_size", 4), INT("crop_size", 5), SKIP("mirror", 6), SKIP("fg_threshold", 7), SKIP("bg_threshold", 8),
    SKIP("fg_fraction", 9), SKIP("context_pad", 10), SKIP("crop_mode", 11), SKIP("cache_images", 12),
    SKIP("root_folder", 13));
SCHEMA(spp, "SPPParameter", INT("pyramid_height", 1), ENUM("pool", 2, POOLS), SKIP("engine", 6));
SCHEMA(prelu, "PReLUParameter", SKIP("filler", 1), BOOL("channel_shared", 2));
SCHEMA(permute, "PermuteParameter", INT("order", 1));
SCHEMA(prior_box, "PriorBoxParameter", REAL("min_size", 1), REAL("max_size", 2), REAL("aspect_ratio", 3),
    BOOL("flip", 4), BOOL("clip", 5), REAL("variance", 6), INT("img_size", 7), INT("img_h", 8), INT("img_w", 9),
    REAL("step", 10), REAL("step_h", 11), REAL("step_w", 12), REAL("offset", 13));
SCHEMA(nms, "NonMaximumSuppressionParameter", REAL("nms_threshold", 1), INT("top_k", 2), REAL("eta", 3));
SCHEMA(detection, "DetectionOutputParameter", INT("num_classes", 1), BOOL("share_location", 2),
    INT("background_label_id", 3), MSG("nms_param", 4, nms), SKIP("save_output_param", 5),
    ENUM("code_type", 6, "CORNER=1 CENTER_SIZE CORNER_SIZE"), INT("keep_top_k", 7),
    BOOL("variance_encoded_in_target", 8), REAL("confidence_threshold", 9), SKIP("visualize", 10),
    SKIP("visualize_threshold", 11), SKIP("save_file", 12));
SCHEMA(normalize, "NormalizeParameter", BOOL("across_spatial", 1), SKIP("scale_filler", 2), BOOL("channel_shared", 3),
    REAL("eps", 4));
SCHEMA(roi_pooling, "ROIPoolingParameter", INT("pooled_h", 1), INT("pooled_w", 2), REAL("spatial_scale", 3));
SCHEMA(interp, "InterpParameter", INT("height", 1), INT("width", 2), INT("zoom_factor", 3), INT("shrink_factor", 4),
    INT("pad_beg", 5), INT("pad_end", 6));
SCHEMA(upsample, "UpsampleParameter", INT("scale", 1), INT("scale_h", 2), INT("scale_w", 3), BOOL("pad_out_h", 4),
    BOOL("pad_out_w", 5), INT("upsample_h", 6), INT("upsample_w", 7), INT("height", 32), INT("width", 33));
SCHEMA(shuffle, "ShuffleChannelParameter", INT("group", 1));

/* What V1 and V2 have in common, with the numbers of each. */
#define DATA_PARAMS(data_, hdf5_, image_, memory_, transform_) \
    MSG("data_param", data_, data), MSG("hdf5_data_param", hdf5_, hdf5_data), \
        MSG("image_data_param", image_, image_data), MSG("memory_data_param", memory_, memory_data), \
        MSG("transform_param", transform_, transform)

const struct tree_schema caffe_layer_schema = { "LayerParameter",
    (const struct tree_row[]){ TEXT("name", 1), TEXT("type", 2), TEXT("bottom", 3), TEXT("top", 4),
        REAL("loss_weight", 5), MSG("param", 6, param_spec), MSG("blobs", 7, caffe_blob_schema),
        MSG("include", 8, state_rule), MSG("exclude", 9, state_rule), ENUM("phase", 10, PHASES),
        SKIP("propagate_down", 11), DATA_PARAMS(107, 112, 115, 119, 100), SKIP("loss_param", 101),
        SKIP("accuracy_param", 102), MSG("argmax_param", 103, argmax), MSG("concat_param", 104, concat),
        SKIP("contrastive_loss_param", 105), MSG("convolution_param", 106, convolution),
        MSG("dropout_param", 108, dropout), MSG("dummy_data_param", 109, dummy), MSG("eltwise_param", 110, eltwise),
        MSG("exp_param", 111, exponent), SKIP("hdf5_output_param", 113), SKIP("hinge_loss_param", 114),
        SKIP("infogain_loss_param", 116), MSG("inner_product_param", 117, inner_product), MSG("lrn_param", 118, lrn),
        MSG("mvn_param", 120, mvn), MSG("pooling_param", 121, pooling), MSG("power_param", 122, power),
        MSG("relu_param", 123, relu), SKIP("sigmoid_param", 124), MSG("softmax_param", 125, softmax),
        MSG("slice_param", 126, slice), SKIP("tanh_param", 127), MSG("threshold_param", 128, threshold),
        MSG("window_data_param", 129, window_data), MSG("python_param", 130, python), MSG("prelu_param", 131, prelu),
        MSG("spp_param", 132, spp), MSG("reshape_param", 133, reshape), MSG("log_param", 134, logarithm),
        MSG("flatten_param", 135, flatten), MSG("reduction_param", 136, reduction), MSG("embed_param", 137, embed),
        MSG("tile_param", 138, tile), MSG("batch_norm_param", 139, batch_norm), MSG("elu_param", 140, elu),
        MSG("bias_param", 141, bias), MSG("scale_param", 142, scale), MSG("input_param", 143, input),
        MSG("crop_param", 144, crop), MSG("parameter_param", 145, parameter), MSG("recurrent_param", 146, recurrent),
        MSG("swish_param", 147, swish), MSG("clip_param", 148, clip), SKIP("annotated_data_param", 200),
        SKIP("multibox_loss_param", 201), MSG("permute_param", 202, permute), MSG("prior_box_param", 203, prior_box),
        MSG("detection_output_param", 204, detection), SKIP("detection_evaluate_param", 205),
        MSG("norm_param", 206, normalize), SKIP("video_data_param", 207),
        MSG("roi_pooling_param", 8266711, roi_pooling), MSG("interp_param", 9991, interp),
        MSG("upsample_param", 9992, upsample), MSG("shuffle_channel_param", 9993, shuffle), { 0 } } };

SCHEMA(v0_layer, "V0LayerParameter", TEXT("name", 1), TEXT("type", 2), INT("num_output", 3), BOOL("biasterm", 4),
    SKIP("weight_filler", 5), SKIP("bias_filler", 6), INT("pad", 7), INT("kernelsize", 8), INT("group", 9),
    INT("stride", 10), ENUM("pool", 11, POOLS), REAL("dropout_ratio", 12), INT("local_size", 13), REAL("alpha", 14),
    REAL("beta", 15), TEXT("source", 16), REAL("scale", 17), TEXT("meanfile", 18), SKIP("batchsize", 19),
    INT("cropsize", 20), SKIP("mirror", 21), REAL("k", 22), MSG("blobs", 50, caffe_blob_schema), SKIP("blobs_lr", 51),
    SKIP("weight_decay", 52), SKIP("rand_skip", 53), SKIP("det_fg_threshold", 54), SKIP("det_bg_threshold", 55),
    SKIP("det_fg_fraction", 56), SKIP("det_context_pad", 58), SKIP("det_crop_mode", 59), INT("new_num", 60),
    INT("new_channels", 61), INT("new_height", 62), INT("new_width", 63), SKIP("shuffle_images", 64),
    INT("concat_dim", 65), SKIP("hdf5_output_param", 1001));

SCHEMA(v1_layer, "V1LayerParameter", MSG("layer", 1, v0_layer), TEXT("bottom", 2), TEXT("top", 3), TEXT("name", 4),
    ENUM("type", 5,
        "NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA HDF5_OUTPUT IM2COL "
        "IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID SOFTMAX "
        "SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA ARGMAX "
        "THRESHOLD DUMMY_DATA SLICE MVN ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION"),
    MSG("blobs", 6, caffe_blob_schema), SKIP("blobs_lr", 7), SKIP("weight_decay", 8), MSG("concat_param", 9, concat),
    MSG("convolution_param", 10, convolution), DATA_PARAMS(11, 13, 15, 22, 36), MSG("dropout_param", 12, dropout),
    SKIP("hdf5_output_param", 14), SKIP("infogain_loss_param", 16), MSG("inner_product_param", 17, inner_product),
    MSG("lrn_param", 18, lrn), MSG("pooling_param", 19, pooling), MSG("window_data_param", 20, window_data),
    MSG("power_param", 21, power), MSG("argmax_param", 23, argmax), MSG("eltwise_param", 24, eltwise),
    MSG("threshold_param", 25, threshold), MSG("dummy_data_param", 26, dummy), SKIP("accuracy_param", 27),
    SKIP("hinge_loss_param", 29), MSG("relu_param", 30, relu), MSG("slice_param", 31, slice),
    MSG("include", 32, state_rule), MSG("exclude", 33, state_rule), MSG("mvn_param", 34, mvn), REAL("loss_weight", 35),
    SKIP("tanh_param", 37), SKIP("sigmoid_param", 38), MSG("softmax_param", 39, softmax),
    SKIP("contrastive_loss_param", 40), MSG("exp_param", 41, exponent), SKIP("loss_param", 42), TEXT("param", 1001),
    SKIP("blob_share_mode", 1002));

const struct tree_schema caffe_net_schema = { "NetParameter",
    (const struct tree_row[]){ TEXT("name", 1), MSG("layers", 2, v1_layer), TEXT("input", 3), INT("input_dim", 4),
        SKIP("force_backward", 5), MSG("state", 6, net_state), SKIP("debug_info", 7), MSG("input_shape", 8, blob_shape),
        MSG("layer", 100, caffe_layer_schema), { 0 } } };

const struct tree_schema caffe_solver_schema = { "SolverParameter",
    (const struct tree_row[]){ TEXT("train_net", 1), TEXT("test_net", 2), MSG("train_net_param", 21, caffe_net_schema),
        MSG("test_net_param", 22, caffe_net_schema), TEXT("net", 24), MSG("net_param", 25, caffe_net_schema),
        SKIP("test_iter", 3), SKIP("test_interval", 4), SKIP("base_lr", 5), SKIP("display", 6), SKIP("max_iter", 7),
        SKIP("lr_policy", 8), SKIP("gamma", 9), SKIP("power", 10), SKIP("momentum", 11), SKIP("weight_decay", 12),
        SKIP("stepsize", 13), SKIP("snapshot", 14), SKIP("snapshot_prefix", 15), SKIP("snapshot_diff", 16),
        SKIP("solver_mode", 17), SKIP("device_id", 18), SKIP("test_compute_loss", 19), SKIP("random_seed", 20),
        SKIP("debug_info", 23), MSG("train_state", 26, net_state), MSG("test_state", 27, net_state),
        SKIP("snapshot_after_train", 28), SKIP("regularization_type", 29), SKIP("solver_type", 30), SKIP("delta", 31),
        SKIP("test_initialization", 32), SKIP("average_loss", 33), SKIP("stepvalue", 34), SKIP("clip_gradients", 35),
        SKIP("iter_size", 36), SKIP("snapshot_format", 37), SKIP("rms_decay", 38), SKIP("momentum2", 39),
        SKIP("type", 40), SKIP("eval_type", 41), SKIP("ap_version", 42), SKIP("layer_wise_reduce", 43),
        SKIP("weights", 42000001), { 0 } } };
