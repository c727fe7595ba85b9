// ort.js - runs ONNX models with ONNX Runtime: one JSON request a line on stdin, one answer a line on stdout.
// {"model": PATH, "inputs": {NAME: {"type", "dims", "data": base64 or [texts]}}}
// -> {"outputs": {...}} or {"error": TEXT}
const o = require(process.argv[2]);
const arrays = {
    float32: Float32Array, float64: Float64Array, float16: Uint16Array, uint8: Uint8Array, int8: Int8Array,
    uint16: Uint16Array, int16: Int16Array, uint32: Uint32Array, int32: Int32Array, uint64: BigUint64Array,
    int64: BigInt64Array, bool: Uint8Array,
};

function tensor(t) {
    if (t.type === 'string') return new o.Tensor('string', t.data, t.dims);
    const bytes = Buffer.from(t.data, 'base64');
    const copy = new ArrayBuffer(bytes.length);
    new Uint8Array(copy).set(bytes);
    return new o.Tensor(t.type, new arrays[t.type](copy), t.dims);
}

function plain(t) {
    if (t.type === 'string') return { type: t.type, dims: t.dims, data: t.data };
    const view = t.data;
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    return { type: t.type, dims: t.dims, data: bytes.toString('base64') };
}

async function answer(line) {
    const ask = JSON.parse(line), feeds = {}, outputs = {};
    try {
        const options = { logSeverityLevel: 4, graphOptimizationLevel: 'disabled' };
        const session = await o.InferenceSession.create(ask.model, options);
        for (const name of Object.keys(ask.inputs)) feeds[name] = tensor(ask.inputs[name]);
        const result = await session.run(feeds);
        for (const name of session.outputNames) outputs[name] = plain(result[name]);
        return { outputs };
    } catch (e) {
        return { error: String(e.message || e) };
    }
}

(async () => {
    for await (const line of require('readline').createInterface({ input: process.stdin }))
        process.stdout.write(JSON.stringify(await answer(line)) + '\n');
})();
