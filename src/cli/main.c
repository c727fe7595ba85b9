/* main.c - the command line's door. */
int main(void)
{
    return 0;
}
