#!/bin/sh
# sources.sh - tenrec score on images that lie in archives, several in a row, and on models of one number or two images.
. "$(dirname "$0")/cli.sh"
small='--like torchvision --set resize.size=16 --set center_crop.size=16'
whole='--like torchvision --set resize.size=16'

printf 'pathh,lable\nphotos/red.png,red\n' >slip.csv
run score classify.onnx slip.csv $small
exits 2 'a misspelt header'
says talk 'slip.csv:1: "pathh" .*did you mean "path"' 'is no row, and told with a suggestion'
printf 'pathh,label\nphotos/red.png,red\n' >slip.csv
run score classify.onnx slip.csv $small
exits 2 'a header without an image'
says talk 'there are: pathh, label' 'is told with the columns there are'

# A table in another encoding than UTF-8: CSV hands the bytes on, what must be UTF-8 is UTF-8.
printf 'path,caf\351\nphotos/red.png,na\357ve\n' >latin.csv
run score classify.onnx latin.csv $small --carry all -o latin.out.csv
ok 'bytes of another encoding go along' "$(LC_ALL=C grep -q "$(printf 'na\357ve')" latin.out.csv || cat latin.out.csv)"
for ending in jsonl db; do
    run score classify.onnx latin.csv $small --carry all -o latin.$ending
    exits 0 "and into .$ending"
    ok 'as U+FFFD' "$(LC_ALL=C grep -aq "$(printf 'na\357\277\275ve')" latin.$ending || cat latin.$ending)"
    ok 'columns, too' "$(LC_ALL=C grep -aq "$(printf '"caf\357\277\275"')" latin.$ending || cat latin.$ending)"
done

mkdir -p shard/a
cp photos/red.png shard/a/1.left.png
cp photos/half.png shard/a/1.right.png
echo red >shard/a/1.cls
cp photos/green/green.png shard/a/2.left.png
cp photos/red.png shard/a/2.right.png
(cd shard && tar cf ../pairs.tar a/1.* a/2.*)
run score left_right.onnx pairs.tar $small
exits 2 'a shard with two images a sample'
says talk 'columns left,right.*--columns image:left=NAME; there are: __key__, ' 'asks which feeds which input'
run score left_right.onnx pairs.tar $small --task raw --columns image:left=left.png --columns image:right=right.png
exits 0 'told which'
is 'both are prepared as images' "$(sed -n 2p out | cut -d, -f1,3)" 'a/1,'
echo 'left,right
photos/red.png,photos/red.png' >same.csv
run score left_right.onnx same.csv $small --task raw
is 'an image less itself is nothing' "$(sed -n 2p out)" 'photos/red.png,0 0 0,'

cp -r photos flat
tar cf photos.tar -C flat red.png half.png
run score segment.onnx photos.tar --task image-segmentation $whole -o inside --set resize.size=16
exits 0 'images in a shard'
run score segment.onnx photos --task image-segmentation $whole -o beside --set resize.size=16
ok 'get the overlays of images in files' "$(cmp inside/overlays/red.png beside/overlays/red.png 2>&1)"
run score segment.onnx photos --task image-segmentation $whole -o scores.npy --masks masks
exits 0 'masks beside an array'
ok 'are those of a table' "$(cmp masks/red.png beside/masks/red.png 2>&1)"

printf 'path,label\nphotos/red.png,yes\nphotos/green/green.png,no\nphotos/half.png,yes\n' >yes.csv
printf 'no\nyes\n' >no_yes.txt
run score binary.onnx yes.csv $small --labels no_yes.txt --metrics -o yes.out.csv
exits 0 'one number for two classes'
ok 'two names for it are no surprise' "$(grep 'labels for' talk)"
is 'has both names and shares' "$(cut -d, -f1,2,4,5,7 yes.out.csv | sed -n 2,3p | tr '\n' ' ')" \
    'photos/red.png,yes,1,no,0 photos/green/green.png,no,0,yes,1 '
says talk 'accuracy +1$' 'is measured'
says talk 'ROC AUC +1$' 'with its curve'
run score binary_logit.onnx yes.csv $small --labels no_yes.txt --task image-classification --metrics -o logit.csv
ok 'a logit gives the same answers' "$(cut -d, -f1,2,4,5,7 logit.csv | sed 's/$//' >a
    cut -d, -f1,2,4,5,7 yes.out.csv >b; cmp a b 2>&1)"
says talk 'accuracy +1$' 'and measures'

# Arrays of several lengths in one archive, as Keras gives its digits, and names of classes as NumPy's texts.
if python3 -c 'import numpy' 2>/dev/null; then python=python3; else python=/usr/bin/python3; fi
if $python -c 'import numpy' 2>/dev/null; then
    $python - <<'END'
import numpy as np
pixels = lambda n: np.random.RandomState(n).randint(0, 255, (n, 8, 8)).astype("u1")
np.savez_compressed("digits.npz", x_train=pixels(7), y_train=np.arange(7), x_test=pixels(3), y_test=np.arange(3),
                    version=np.float32(2))
np.savez("named.npz", image=np.asfortranarray(pixels(3)), label=np.array(["red", "gr\u00fcn", "\U0001f600"]),
         origin=np.array([b"a.png", b"b", b""]))
END
    run score classify.onnx digits.npz --like torchvision --task raw
    exits 4 'an archive with arrays of two lengths'
    says talk 'as in --columns image=x_test,label=y_test' 'asks which belong together'
    for columns in '--columns image=x_test,label=y_test' '--columns image=x_test --columns label=y_test'; do
        run score classify.onnx digits.npz $columns --like torchvision --task raw --carry all
        exits 0 'they are named'
        is 'and are the table' "$(cut -d, -f2 out | tr '\n' ' ')" 'y_test 0 1 2 '
    done
    run score classify.onnx digits.npz --columns image=x_test,label=y_train --task raw
    exits 4 'two that do not belong together'
    run score classify.onnx named.npz --like torchvision --task raw --carry label,origin
    is 'texts in arrays' "$(cut -d, -f2,3 out | tr '\n' ' ')" "label,origin red,a.png $(printf 'gr\303\274n'),b $(
        printf '\360\237\230\200'), "
    run train model=classify.onnx data=digits.npz columns=image=x_train,label=y_train epochs=1 head=replace out=runs/npz
    exits 0 'training from them'
else
    skip 'arrays of an archive' 'needs numpy'
fi
finish
