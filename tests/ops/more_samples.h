/* more_samples.h - problems beside those of the operators' rows, for fast kernels: tests/ops/backends.c includes it. */
#ifndef TENREC_TESTS_OPS_MORE_SAMPLES_H
#define TENREC_TESTS_OPS_MORE_SAMPLES_H

/* What matters to fast kernels: channels in blocks and past them, every pattern of broadcasting. */
static const struct {
    const char *op, *samples;
} more[] = {
    { "Conv", "f32[2,32,10,10] f32[40,32,3,3] f32[40] | pads=1,1,1,1; f32[1,3,30,30] f32[17,3,7,7] | "
              "strides=2,2 pads=3,3,3,3; f32[2,24,9,9] f32[24,1,5,5] f32[24] | group=24 "
              "pads=2,2,2,2; f32[2,32,7,7] f32[64,8,3,3] | group=4 dilations=2,2; "
              "f32[2,64,6,5] f32[20,64,1,1] f32[20]; f32[1,16,40] f32[16,16,3] | pads=1,1; "
              "f32[1,8,5,6,7] f32[8,8,3,3,3] | pads=1,1,1,1,1,1; f32[2,5,40,37] f32[5,1,3,3] f32[5] | group=5 "
              "pads=1,1,1,1; f32[1,3,60,61] f32[6,1,5,5] | group=3 pads=2,1,1,2 strides=2,3; f32[2,6,33,45] "
              "f32[6,1,3,3] | group=6 dilations=2,3 strides=3,2; f32[2,4,130] f32[4,1,31] f32[4] | group=4 pads=15,15; "
              "f32[1,8,9,50] f32[8,4,1,1] f32[8] | group=2; f32[1,4,12,30] f32[8,2,1,1] | group=2 strides=2,1; "
              "f32[1,2,300,40] f32[2,1,7,7] | group=2 pads=3,3,3,3" },
    { "FusedConv", "f32[2,5,40,37] f32[5,1,3,3] f32[5] f32[2,5,40,37] | group=5 pads=1,1,1,1 activation=Relu; "
                   "f32[1,6,20,20] f32[6,1,3,3] f32[6] | group=6 activation=Swish alpha=1; f32[1,6,20,20] f32[6,3,1,1] "
                   "f32[6] | group=2 activation=Clip alpha=-0.5 beta=0.75" },
    { "ConvTranspose", "f32[2,16,7,7] f32[16,24,2,2] f32[24] | strides=2,2; f32[2,16,7,7] f32[16,1,4,4] | strides=2,2 "
                       "pads=1,1,1,1 group=16" },
    { "FusedNormalization", "f32[2,19,9,11] f32[70] f32[70] f32[70] f32+[70] f32[2,51,9,11] | activation=Relu" },
    { "ConvGradInput", "f32[2,40,10,10] f32[40,32,3,3] f32[2,32,10,10] | pads=1,1,1,1; f32[2,24,5,5] f32[24,1,3,3] "
                       "f32[2,24,10,10] | group=24 pads=1,1,1,1 strides=2,2" },
    { "ConvGradWeight", "f32[2,40,10,10] f32[2,32,10,10] f32[40,32,3,3] | pads=1,1,1,1; f32[2,24,5,5] f32[2,24,10,10] "
                        "f32[24,1,3,3] | group=24 pads=1,1,1,1 strides=2,2" },
    { "SGDUpdate", "f32[70,40] f32[70,40] i64{1} f32{0.1} bool{1} f32{0.5} f32[70,40] | momentum=0.9 nesterov=1 "
                   "clip=0.2 l1=0.1 weight_decay=0.01" },
    { "AdamUpdate", "f32[70,40] f32[70,40] i64{1} f32{0.1} bool{1} f32{0.5} f32[70,40] f32+[70,40] f32+[70,40] | "
                    "amsgrad=1 decoupled=1 weight_decay=0.1" },
    { "SoftmaxCrossEntropyLoss", "f32[3,70] i64<70>[3]; f32[2,3,9,9] i64<3>[2,9,9] f32+[3] | ignore_index=1" },
    { "SoftmaxCrossEntropyLossGrad", "f32[] f32[2,3,9,9] i64<3>[2,9,9] f32+[3] | ignore_index=1" },
    { "Add", "f32[2,8,5,5] f32[8,1,1]; f32[8,1,1] f32[2,8,5,5]; f32[2,8,5,5] f32[2,8,1,1]; f32[3,7,40] f32[40]; "
             "f32[3,7,40] f32[]; f32[3,7,40] f32[7,40]; f32[2,4,6,6] f32[2,1,1,6]; f32[5,1] f32[1,7]; f32[] f32[]" },
    { "Sub", "f32[2,8,5,5] f32[8,1,1]; f32[8,1,1] f32[2,8,5,5]; f32[3,7,40] f32[40]; f32[40] f32[3,7,40]" },
    { "Mul", "f32[2,8,5,5] f32[2,8,1,1]; f32[1,8,5,5] f32[1,8,1,1]; f32[3,7,40] f32[3,7,1]" },
    { "Div", "f32[2,8,5,5] f32+[8,1,1]; f32[3,7,40] f32+[3,7,1]; f32[3,7,40] f32+[]; f32[] f32+[3,7,40]" },
    { "Max", "f32~[2,3,5] f32~[2,3,5]; f32~[2,3,5] f32~[]" },
    { "Min", "f32~[2,3,5] f32~[2,3,5]; f32~[5] f32~[2,3,5]" },
    { "Sum", "f32[2,3,5] f32[2,3,5] f32[2,3,5]; f32[2,3,5] f32[5]" },
    { "PRelu", "f32~[2,8,5,5] f32[8,1,1]; f32~[2,8,5,5] f32[1]; f32~[2,3,4] f32[2,3,4]" },
    { "SumTo", "f32[3,70,40] f32[40]; f32[200,5] f32[1,5]; f32[4,33,7] f32[33,7]; f32[2,3] f32[2,3]" },
    { "ReduceSum", "f32[2,3,40] i64{-1}; f32[2,3,4,5] i64{2,3} | keepdims=0; f32[40,30] i64{0}; f32[6,7]" },
    { "MaxPool", "f32~[2,16,9,9] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; f32~[1,8,8,8] | kernel_shape=2,2 "
                 "strides=2,2; f32~[2,3,40,37] | kernel_shape=3,3 pads=1,1,1,1; f32~[1,2,50,60] | kernel_shape=5,2 "
                 "strides=3,2 dilations=2,3 pads=4,0,2,2 ceil_mode=1; f32~[1,2,77] | kernel_shape=4 strides=3 "
                 "ceil_mode=1; f32[1,1,13]{1,2,nan,4,5,inf,-inf,-1,nan,-2,-3,-4,0} | kernel_shape=2; "
                 "f32~[1,1,300,40] | kernel_shape=1,3; f32~[1,1,300,40] | kernel_shape=7,1 strides=2,1" },
    { "AveragePool", "f32[2,16,9,9] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1 count_include_pad=1; f32[2,3,40,37] | "
                     "kernel_shape=3,3 pads=1,1,1,1; f32[1,2,50,60] | kernel_shape=5,2 strides=3,2 dilations=2,3 "
                     "pads=4,0,2,2 ceil_mode=1; f32[1,2,77] | kernel_shape=4 strides=3 ceil_mode=1 pads=1,1 "
                     "count_include_pad=1" },
    { "Resize", "f32[1,3,4,5] - - i64{1,3,8,10} | mode=linear; f32[2,9,7,6] - - i64{2,9,11,4} | mode=linear "
                "coordinate_transformation_mode=pytorch_half_pixel; f32[1,8,4,4] - f32{1,1,2,3} | mode=nearest "
                "coordinate_transformation_mode=asymmetric nearest_mode=floor; f32[1,3,5] - - i64{1,3,15} | "
                "mode=nearest; f32[1,2,3,4,5] - - i64{1,2,6,5,5} | mode=linear; f32[1,2,5,5] - f32{1,1,1.3,1.5} | "
                "mode=linear; f32[1,3,8,10] - - i64{16,15} | mode=linear axes=2,3; "
                "f32[1,3,8,10] - f32{2,1.5} | mode=linear axes=2,-1; f32[2,5,13,17] - - i64{2,5,26,30} | mode=linear "
                "coordinate_transformation_mode=align_corners; f32[1,3,20,11] - - i64{1,3,9,25} | mode=cubic; "
                "f32[1,3,20,31] - - i64{1,3,9,14} | mode=linear antialias=1; f32[2,3,19] - - i64{2,3,40} | mode=cubic "
                "coordinate_transformation_mode=asymmetric; f32[1,2,3,8,9] - - i64{1,2,3,5,20} | mode=linear "
                "coordinate_transformation_mode=align_corners" },
    { "ResizeGrad", "f32[2,5,26,30] f32[2,5,13,17] - - i64{2,5,26,30} | mode=linear "
                    "coordinate_transformation_mode=align_corners; f32[1,3,9,25] f32[1,3,20,11] - - i64{1,3,9,25} | "
                    "mode=cubic; f32[1,3,18,22] f32[1,3,9,11] - f32{1,1,2,2}; f32[2,3,40] f32[2,3,19] "
                    "- - i64{2,3,40} | mode=linear; "
                    "f32[1,3,9,14] f32[1,3,20,31] - - i64{1,3,9,14} | mode=linear antialias=1" },
    { "InstanceNormalization", "f32[2,5,9,11] f32[5] f32[5]; f32[2,3,7] f32[3] f32[3] | epsilon=0.1" },
    { "GroupNormalization", "f32[2,6,9,11] f32[6] f32[6] | num_groups=3; f32[3,4] f32[4] f32[4] | num_groups=2" },
    { "RMSNormalization", "f32[2,3,70] f32[70]; f32[5,4,33] f32[4,33] | axis=1 epsilon=0.1" },
    { "Softmax", "f32[2,21,9,11] | axis=1; f32[70,3,5] | axis=0; f32[3,200]; f32[300,49]; f32[5,64]; f32[1,1]; "
                 "f32[2,9,1]; f32{-inf,0,-200,3}; f32{nan,1,2}; f32{inf,1,2}; f32{-inf,-inf}" },
    { "SoftmaxOrZero", "f32[3,200]; f32[2,3]{-inf,-inf,-inf,-inf,0,1}; f32{nan,-inf,1}" },
    { "LogSoftmax", "f32[2,21,9,11] | axis=1; f32[70,3,5] | axis=0; f32[3,200]; f32[300,49]; f32{-inf,0,-200,3}; "
                    "f32{nan,1,2}; f32{1000,1}" },
    { "SoftmaxGrad", "f32[2,21,9,11] f32[2,21,9,11] | axis=1" },
    { "LogSoftmaxGrad", "f32[2,21,9,11] f32[2,21,9,11] | axis=1" },
    { "LSTM", "f32[6,3,40] f32[1,280,40] f32[1,280,70] f32[1,560] - f32[1,3,70] f32[1,3,70] | hidden_size=70; "
              "f32[5,7,300] f32[2,132,300] f32[2,132,33] f32[2,264] | direction=bidirectional outputs=3; "
              "f32[2,4,3] f32[1,128,3] f32[1,128,32] | direction=reverse layout=1 outputs=3; f32[5,13,9] f32[1,160,9] "
              "f32[1,160,40] f32[1,320]; f32[300,1,5] f32[2,12,5] f32[2,12,3] | direction=bidirectional outputs=3; "
              "f32[70,9,5] f32[2,12,5] f32[2,12,3] f32[2,24] | direction=bidirectional outputs=3; f32[3,130,5] "
              "f32[1,132,5] f32[1,132,33]; f32[9,70,5] f32[1,132,5] f32[1,132,33] f32[1,264] | layout=1 outputs=3" },
    { "GRU", "f32[13,5,9] f32[2,120,9] f32[2,120,40] f32[2,240] | direction=bidirectional layout=1 "
             "linear_before_reset=1; "
             "f32[6,3,40] f32[1,210,40] f32[1,210,70] f32[1,420] - f32[1,3,70] | linear_before_reset=1; f32[5,4,3] "
             "f32[2,99,3] f32[2,99,33] f32[2,198] | direction=bidirectional layout=1 outputs=2 linear_before_reset=1; "
             "f32[70,9,5] f32[2,9,5] f32[2,9,3] f32[2,18] | direction=bidirectional outputs=2 linear_before_reset=1" },
    { "RNN", "f32[6,3,40] f32[1,70,40] f32[1,70,70] f32[1,140] - f32[1,3,70]; f32[5,4,3] f32[1,33,3] f32[1,33,33] | "
             "direction=reverse layout=1 outputs=2" },
    { "LSTMGrad", "f32[4,3,40] f32[1,280,40] f32[1,280,70] f32[1,560] - f32[1,3,70] f32[1,3,70] f32[4,1,3,70] "
                  "f32[1,3,70] f32[1,3,70]; f32[3,7,20] f32[2,132,20] f32[2,132,33] f32[2,264] - - - f32[3,2,7,33] | "
                  "direction=bidirectional; f32[2,4,3] f32[1,128,3] f32[1,128,32] - - - - f32[2,4,1,32] | "
                  "direction=reverse layout=1; "
                  "f32[5,13,9] f32[1,160,9] f32[1,160,40] f32[1,320] - - - f32[5,1,13,40]" },
    { "GRUGrad", "f32[13,5,9] f32[2,120,9] f32[2,120,40] f32[2,240] - - f32[13,5,2,40] | direction=bidirectional "
                 "layout=1 linear_before_reset=1; "
                 "f32[4,3,40] f32[1,210,40] f32[1,210,70] f32[1,420] - f32[1,3,70] f32[4,1,3,70] f32[1,3,70] | "
                 "linear_before_reset=1; f32[5,4,3] f32[2,99,3] f32[2,99,33] f32[2,198] - - f32[5,4,2,33] | "
                 "direction=bidirectional layout=1 linear_before_reset=1" },
    { "RNNGrad", "f32[4,3,40] f32[1,70,40] f32[1,70,70] f32[1,140] - f32[1,3,70] f32[4,1,3,70]; f32[5,4,3] f32[1,33,3] "
                 "f32[1,33,33] - - - f32[5,4,1,33] | direction=reverse layout=1" },
    { "QuantizedConv", "u8<256>[2,32,10,10] u8<256>[40,32,3,3] u8{128} u8{128} f32{0.1} f32{0.05} f32{40} u8{128} "
                       "f32[40] | pads=1,1,1,1; u8<256>[1,3,30,30] i8[17,3,7,7] u8{3} i8{0} | strides=2,2 "
                       "pads=3,3,3,3; u8<256>[2,72,9,9] u8<256>[72,1,5,5] u8{255} u8{9} f32{0.1} f32{0.05} f32{9} "
                       "u8{128} f32[72] | group=72 pads=2,2,2,2 low=0; i8[2,32,7,7] i8[64,8,3,3] i8{-1} - | group=4 "
                       "dilations=2,2; u8<256>[2,64,6,5] u8<256>[20,64,1,1] u8{0} u8{255}; i8[1,16,40] i8[16,16,3] "
                       "i8{0} - f32{0.1} f32{0.2} | pads=1,1; u8<256>[3,18,20,21] i8[36,9,3,2] u8{7} - f32{0.1} "
                       "f32{0.2} f32{2} i8{0} | group=2 strides=1,3 pads=2,0,0,1 high=5; u8<256>[1,32,6,6] "
                       "i8[40,32,1,1] u8{3} - f32{0.1} f32{0.05} f32{0.1} u8{128} | low=-1 high=4; "
                       "u8<256>[1,32,6,6] i8[40,32,1,1] u8{3} - f32{0.1} f32{0.05} f32{0.1} u8{0} | low=0" },
    { "QuantizedGemm", "u8<256>[133,300] u8<256>[300,45] u8{1} u8{254}; u8<256>[2,50,64] i8[70,64] u8{0} - f32{0.1} "
                       "f32{0.1} f32{1} u8{100} f32[70] | transB=1; u8<256>[5,4] "
                       "i8[4,3]{1,-2,3,4,5,-6,7,8,9,-100,11,127} u8<256>[]; "
                       "i8[2,3,4] i8[3,4]{1,-2,3,4,5,-6,7,8,9,-100,11,127} i8[1] | transB=1" },
    { "QuantizeLinear", "f32[3,5,70] f32{0.02} u8{9}; f32{-900,3,nan,0.5,1.5,-2.5,inf} f32{1} i8{0}" },
    { "DequantizeLinear", "u8<256>[3,5,70] f32{0.02} u8{9}; i8[2,70] f32{0.5}" },
    { "Cast", "f32[3,5,70] | to=16; bf16[2,70] | to=1; f32{inf,-inf,nan,1e39,0.00390625,1.00390625,1.01171875} | "
              "to=16; f32[3,300] | to=10; f16[3,300] | to=1; f32[3,300] | to=6; f32{1.9,-1.9,3e9,-3e9,1e30,inf,nan} | "
              "to=6; f32{2.5,300,-1,5e9,nan} | to=2; f32{-0.5,9e18,1e19,-1e30,nan} | to=7; f32{0,-0.0,nan,1e-40} | "
              "to=9; i32<99>[700] | to=1; i32{2147483647,16777217,-5} | to=1; i64{9223372036854775807,-3} | to=1; "
              "u8<256>[70] | to=1; bool<2>[70] | to=1; bool<2>[70] | to=7; i32<99>[70] | to=7; i64{4294967299,-1} | "
              "to=6" },
    { "MaxPool", "u8<256>[2,20,9,9] | kernel_shape=3,3 strides=2,2 pads=1,1,1,1; i8[1,3,8,8] | kernel_shape=2,2 "
                 "strides=2,2 ceil_mode=1; u8<256>[1,5,9] | kernel_shape=3 dilations=2" },
    { "Sin", "f32{0,-0.0,1e4,-99999,1e6,3e38,inf,-inf,nan,1e-40,3.14159274}; f32[2,300]" },
    { "Cos", "f32{0,-0.0,1e4,-99999,1e6,3e38,inf,-inf,nan,1e-40,1.57079637}; f32[2,300]" },
    { "SinGrad", "f32{1,2,3,4} f32{1e4,1e6,nan,-2}; f32[2,300] f32[2,300]" },
    { "CosGrad", "f32{1,2,3,4} f32{1e4,1e6,nan,-2}; f32[2,300] f32[2,300]" },
    { "Log", "f32{0,-0.0,1,1e-45,1e-38,3e38,inf,-1,nan,0.99999994,1.00000012}; f32+[2,300]" },
    { "Erf", "f32{0,-0.0,0.99,1,-1,1.01,3.9,4,-5,inf,-inf,nan,1e-40}; f32[2,300]" },
    { "Sign", "f32{0,-0.0,1,-2,inf,-inf,nan}" },
    { "Floor", "f32{0,-0.0,0.5,-0.5,1e9,inf,nan,-7}" },
    { "Selu", "f32{0,-0.0,-1e-6,-100,50,inf,-inf,nan}; f32[2,300]" },
    { "MishGrad", "f32{1,1,1,1,1,1,1} f32{-100,-20,0,19.9,20.1,100,nan}; f32[2,300] f32[2,300]" },
    { "EluGrad", "f32{1,1,1,1} f32{-100,-inf,nan,3}; f32[2,300] f32[2,300] | alpha=0.5" },
    { "SoftplusGrad", "f32{1,1,1,1} f32{-100,100,nan,3}; f32[2,300] f32[2,300]" },
    { "ErfGrad", "f32{1,1,1,1} f32{-100,9,nan,3}; f32[2,300] f32[2,300]" },
    { "ClipGrad", "f32{inf,2,3,4} f32{-9,0.5,nan,9} f32{0} f32{6}; f32[2,300] f32~[2,300] - f32{0.1}; f32[9] f32[9]" },
    { "ReduceMax", "f32~[3,5,70] i64{-1}; f32~[5,700] i64{0} | keepdims=0; f32~[3,40,7] i64{1}; f32~[1,70000]; "
                   "f32~[2,3,4] i64{0,2}; f32{1,nan,3,-inf}; f32{-inf,-inf}; f32{1,2,nan,inf,5,6}" },
    { "ReduceMin", "f32~[3,5,70] i64{-1}; f32~[5,700] i64{0} | keepdims=0; f32~[3,40,7] i64{1}; f32~[1,70000]; "
                   "f32~[2,3,4] i64{0,2}; f32{1,nan,3,-inf}; f32{inf,inf}" },
    { "ReduceL1", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; f32[2,3,4]"
                  " i64{0,2}; f32{-1,inf,2}" },
    { "ReduceL2", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; f32[2,3,4]"
                  " i64{0,2}; f32{3e30,4e30}; f32{1,nan}" },
    { "ReduceSumSquare", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; "
                         "f32[2,3,4] i64{0,2}; f32{1,-inf}" },
    { "ReduceLogSumExp", "f32[3,5,70] i64{-1}; f32[5,700] i64{0} | keepdims=0; f32[3,40,7] i64{1}; f32[1,70000]; "
                         "f32[2,3,4] i64{0,2}; f32{-inf,-inf}; f32{inf,1,-inf}; f32{nan,1}; f32{800,801}; "
                         "f32{-900,-901}" },
    { "ArgMax", "f32<4>[3,5,70] | axis=-1; f32<4>[5,700] | axis=0; f32<4>[3,40,7] | axis=1; f32<4>[3,40,7] | axis=1 "
                "select_last_index=1; f32<4>[3,5,70] | axis=-1 select_last_index=1; f32{1,nan,3,nan}; "
                "f32{1,nan,3,nan} | select_last_index=1; f32{-inf,-inf}; f32{inf,inf,inf}; f32{inf,inf,inf} | "
                "select_last_index=1; f32~[2,3000] | axis=1" },
    { "ArgMin", "f32<4>[3,5,70] | axis=-1; f32<4>[5,700] | axis=0; f32<4>[3,40,7] | axis=1; f32<4>[3,40,7] | axis=1 "
                "select_last_index=1; f32<4>[3,5,70] | axis=-1 select_last_index=1; f32{1,nan,3,nan}; "
                "f32{1,nan,3,nan} | select_last_index=1; f32{-inf,-inf}; f32{inf,inf,inf}; f32{inf,inf,inf} | "
                "select_last_index=1; f32~[2,3000] | axis=1" },
    { "Less", "f32<5>[2,8,5,5] f32<5>[8,1,1]; f32<5>[3,1500] f32<5>[]; f32<5>[5,1] f32<5>[1,7]; f32<5>[3,7,1] "
              "f32<5>[3,1,40]; i64<5>[3,40] i64<5>[40]; i32<5>[40] i32<5>[3,40]; u8<5>[40] u8<5>[40]; f32[] f32[]; "
              "f32{nan,1,-0.0} f32[3]" },
    { "LessOrEqual", "f32<5>[3,1500] f32<5>[3,1]" },
    { "Greater", "f32<5>[1,1500] f32<5>[3,1]" },
    { "GreaterOrEqual", "f32<5>[3,7,1] f32<5>[1,40]" },
    { "Equal", "f32<5>[2,8,5,5] f32<5>[8,1,1]; f32<5>[3,1500] f32<5>[]; f32<5>[5,1] f32<5>[1,7]; f32<5>[3,7,1] "
               "f32<5>[3,1,40]; i64<5>[3,40] i64<5>[40]; i32<5>[40] i32<5>[3,40]; u8<5>[40] u8<5>[40]; f32[] f32[]; "
               "f32{nan,1,-0.0} f32[3]; bool<2>[3,40] bool<2>[40]" },
    { "Where", "bool<2>[2,8,5,5] f32[8,1,1] f32[]; bool<2>[3,1] f32[1500] f32[3,1500]; bool<2>[3,1500] i64<9>[] "
               "i64<9>[1500]; bool<2>[40] bool<2>[3,40] bool<2>[3,1]; bool<2>[5,1,7] f16[4,1] f16[7]; bool<2>[] "
               "f32[] f32[]" },
    { "Xor", "bool<2>[5,1] bool<2>[1,7]; bool<2>[3,1500] bool<2>[3,1]" },
    { "LayerNormalizationGrad", "f32[70,5,40] f32[70,5,40] f32[40] | outputs=3; f32[3,300] f32[3,300] f32[300] | "
                                "outputs=2; f32[300,7] f32[300,7] f32[7]; f32[9,4,5] f32[9,4,5] f32[4,5] | axis=1 "
                                "outputs=3" },
    { "RMSNormalizationGrad", "f32[70,5,40] f32[70,5,40] f32[40] | outputs=2; f32[3,300] f32[3,300] f32[300]" },
    { "MatMul", "f32[33,300] f32[300,45]; f32[2,4,16,32] f32[2,4,32,16]; f32[1,300] f32[300,700]" },
};

#endif
