"""The command `effdense train`, from a checkout."""

from door import run

if __name__ == '__main__':
    run('train')
