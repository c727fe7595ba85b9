#!/usr/bin/python3
"""million.py - a long table from its first row to its measures: throughput, memory, processors, and what it costs
beside the bare forward pass, by the clock and in time of processors (which neighbours on the machine change less).

    million.py TENREC [--rows 1000000] [--less 10000] [--batch 16] [--zoo digits] [--size 28] [--threads 2]
               [--png 10000]

Draws images of digits, makes a network of the zoo with random weights and a CSV table of so many rows that names each
image again and again; one row in 10,000 names a file that is not there. Scores the table with --metrics, first a
shorter one, to see that memory stays what it is; then a fifth of so many rows as IDX, where there is nothing to open
and to decode. The bare forward pass is as many processes of `tenrec bench` side by
side as there are threads, one thread each: no decoding, no rows, no results.
"""
import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time


def make(tenrec, options):
    subprocess.run([tenrec, "data", "synth", "digits", "-n", str(options.png), "--size", str(options.size),
                    "-o", "digits"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([tenrec, "zoo", "new", options.zoo, "-o", "model.tenrec"], check=True, stderr=subprocess.DEVNULL)
    images = [(f"digits/{label}/{name}", label) for label in sorted(os.listdir("digits"))
              for name in sorted(os.listdir(f"digits/{label}"))]
    for rows in (options.less, options.rows):
        with open(f"rows{rows}.csv", "w", encoding="ascii") as table:
            table.write("path,label\n")
            for i in range(rows):
                path, label = images[i * 7919 % len(images)]
                table.write(f"{'digits/none.png' if i % 10000 == 9999 else path},{label}\n")
    count, side = options.rows // 5, options.size
    pixels = random.Random(0).randbytes(1000 * side * side)
    with open("rows-images-idx3-ubyte", "wb") as table:
        table.write(struct.pack(">4B3I", 0, 0, 8, 3, count, side, side))
        for i in range(count):
            table.write(pixels[i % 1000 * side * side:][:side * side])
    with open("rows-labels-idx1-ubyte", "wb") as table:
        table.write(struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(i % 10 for i in range(count)))


def bare(tenrec, options):
    """Of the forward pass alone: samples a second, and seconds of a processor for each."""
    command = [tenrec, "bench", "model.tenrec", "--batch", str(options.batch), "--threads", "1", "--size",
               str(options.size), "--json", "--seconds"]
    rate, used, samples = 0, [], []
    for seconds in ("1", "5"):  # what both have alike, the start, is no part of the cost
        runs = [subprocess.Popen(command + [seconds], stdout=subprocess.PIPE) for _ in range(options.threads)]
        told = [json.loads(run.stdout.read()) for run in runs]
        usage = [os.wait4(run.pid, 0)[2] for run in runs]
        rate = sum(one["samples_per_second"] for one in told)
        used.append(sum(one.ru_utime + one.ru_stime for one in usage))
        samples.append(sum(one["runs"] + one["warm_up_runs"] for one in told) * options.batch)
    return rate, (used[1] - used[0]) / (samples[1] - samples[0])


def score(tenrec, options, table):
    """Seconds by the clock and of processors, peak MB, and the measures."""
    command = [tenrec, "score", "model.tenrec", table, "--metrics", "-o", f"{table}.out.csv", "--batch",
               str(options.batch), "--threads", str(options.threads)]
    begin = time.perf_counter()
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(run.pid, 0)
    if status:
        sys.exit(f"tenrec score ended with {status}")
    seconds = time.perf_counter() - begin
    with open(f"{table}.out.csv.metrics.json", encoding="utf-8") as file:
        measures = json.load(file)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, measures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tenrec")
    for name, value in {"rows": 1000000, "less": 10000, "batch": 16, "size": 28, "threads": 2, "png": 10000}.items():
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--zoo", default="digits")
    options = parser.parse_args()
    tenrec = os.path.abspath(options.tenrec)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make(tenrec, options)
        alone = [bare(tenrec, options)]
        tables = {f"rows{options.less}.csv": options.less, f"rows{options.rows}.csv": options.rows,
                  "rows-images-idx3-ubyte": options.rows // 5}
        told = {}
        for table, rows in tables.items():
            seconds, processor, megabytes, measures = score(tenrec, options, table)
            told[table] = rows / seconds, processor / rows
            print(f"{table}, {rows} rows: {seconds:.1f} s, {rows / seconds:.0f} rows/s, {processor / seconds:.2f} "
                  f"processors, peak {megabytes:.1f} MB, {measures['rows']} compared, ROC AUC "
                  f"{measures['roc_auc']:.6f}")
            alone.append(bare(tenrec, options))
        rate, used = max(one[0] for one in alone), min(one[1] for one in alone)
        print(f"forward pass alone: {rate:.0f} samples/s, {1e6 * used:.0f} us of a processor each")
        for table, (rows, processor) in told.items():
            print(f"{table}: {1e6 * processor:.0f} us of a processor a row; lost: {100 * (1 - rows / rate):.0f} % by "
                  f"the clock, {100 * (1 - used / processor):.0f} % of processors' time")
        os.chdir("/")


if __name__ == "__main__":
    main()
